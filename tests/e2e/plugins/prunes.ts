/** A plugin that prunes the context: what tools said before the latest step is no longer sent to any model. */
interface Part {
  type: string
  state?: { status: string; output?: string }
}

const server = async () => ({
  "experimental.chat.messages.transform": async (_: unknown, output: { messages: { parts: Part[] }[] }) => {
    for (const { parts } of output.messages) {
      for (const part of parts) {
        if (part.type === "tool" && part.state?.status === "completed") part.state.output = "[pruned]"
      }
    }
  },
})

export default { id: "prunes", server }
