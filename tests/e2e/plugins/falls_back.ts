/**
 * Another plugin that falls back to a second model: when OpenCode says that it tries again, or that the turn failed, it
 * stops the session and sends the user's words once more, to a model of its own.
 */
interface Event {
  type: string
  properties: { sessionID: string; status?: { type: string }; error?: { name: string } }
}
interface Input {
  client: {
    session: {
      abort(request: object): Promise<unknown>
      messages(
        request: object,
      ): Promise<{ data: { info: { role: string }; parts: { type: string; text?: string }[] }[] }>
      prompt(request: object): Promise<unknown>
    }
  }
}

const server = async ({ client }: Input, { model }: { model: string }) => {
  const tried = new Set<string>()
  const [providerID, modelID] = model.split("/")
  return {
    event: async ({ event: { type, properties } }: { event: Event }) => {
      const retries = type === "session.status" && properties.status?.type === "retry"
      const failed = type === "session.error" && properties.error?.name === "APIError"
      const id = properties.sessionID
      if ((!retries && !failed) || tried.has(id)) return
      tried.add(id)
      await client.session.abort({ path: { id } })
      const { data } = await client.session.messages({ path: { id } })
      const asked = data.findLast(({ info }) => info.role === "user")
      const parts =
        asked?.parts.filter((part) => part.type === "text").map(({ text }) => ({ type: "text", text })) ?? []
      await client.session.prompt({ path: { id }, body: { model: { providerID, modelID }, parts } })
    },
  }
}

export default { id: "falls-back", server }
