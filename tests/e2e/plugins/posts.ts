/** A plugin that posts a message of its own, without asking for an answer: when a session rests, or after a tool ran. */
interface Options {
  when: "idle" | "tool"
  ignored?: boolean
}
interface Input {
  client: { session: { prompt(request: object): Promise<unknown> } }
}

const server = async ({ client }: Input, { when, ignored = false }: Options) => {
  const posted = new Set<string>()
  const post = async (id: string) => {
    if (posted.has(id)) return
    posted.add(id)
    const parts = [{ type: "text", text: `a note when ${when}`, ignored }]
    await client.session.prompt({ path: { id }, body: { noReply: true, parts } })
  }
  return {
    event: async ({ event }: { event: { type: string; properties: { sessionID: string } } }) => {
      if (when === "idle" && event.type === "session.idle") await post(event.properties.sessionID)
    },
    "tool.execute.after": async ({ sessionID }: { sessionID: string }) => {
      if (when === "tool") await post(sessionID)
    },
  }
}

export default { id: "posts", server }
