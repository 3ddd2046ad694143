/** A plugin that wraps `globalThis.fetch` to mark what passes, and puts back what it found when it goes. */
const server = async () => {
  const found = globalThis.fetch
  const wrapped = async (input: string | URL | Request, init?: RequestInit) => {
    if (!String(input instanceof Request ? input.url : input).includes("/chat/completions")) return found(input, init)
    const headers = new Headers(init?.headers)
    headers.set("x-wrapped", String(Number(headers.get("x-wrapped") ?? 0) + 1))
    return found(input, { ...init, headers })
  }
  globalThis.fetch = Object.assign(wrapped, { preconnect: found.preconnect })
  return {
    dispose: async () => {
      globalThis.fetch = found
    },
  }
}

export default { id: "wraps-fetch", server }
