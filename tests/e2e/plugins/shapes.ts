/** A plugin that shapes what is asked: parameters, headers, a part added to every message, and (`model`) its model. */
interface Options {
  model?: string
}
interface Message {
  id: string
  sessionID: string
  model: { providerID: string; modelID: string }
}

const server = async (_: unknown, { model }: Options = {}) => {
  let count = 0
  return {
    "chat.params": async (_: unknown, output: { temperature: number }) => {
      output.temperature = 0.125
    },
    "chat.headers": async (_: unknown, output: { headers: Record<string, string> }) => {
      output.headers["x-team"] = "lighthouse"
    },
    "chat.message": async (_: unknown, output: { message: Message; parts: object[] }) => {
      const { id, sessionID } = output.message
      const part = { id: `prt_shapes${++count}${id}`, messageID: id, sessionID, type: "text", text: "mind the rocks" }
      output.parts.push(part)
      const [providerID, modelID] = (model ?? "").split("/")
      if (providerID && modelID) output.message.model = { ...output.message.model, providerID, modelID }
    },
  }
}

export default { id: "shapes", server }
