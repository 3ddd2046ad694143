/**
 * A login with a fetch of its own, as the plugins for Copilot, Codex and Antigravity have it: every request of its
 * provider goes through it and gets its token.
 *
 * `captured` says where its fetch comes from: "never" looks `globalThis.fetch` up at every request, "server" took it when
 * the plugin was made, "module" when the file was read; "bun" has one of its own, which nobody else can reach.
 */
const early = globalThis.fetch

interface Options {
  provider: string
  captured: "never" | "server" | "module" | "bun"
}

const server = async (_: unknown, options: Options) => {
  const made = globalThis.fetch
  const { fetch: buns } = (globalThis as unknown as { Bun: { fetch: typeof fetch } }).Bun
  const through = { never: () => globalThis.fetch, server: () => made, module: () => early, bun: () => buns }[
    options.captured
  ]
  return {
    auth: {
      provider: options.provider,
      methods: [{ type: "api", label: "Key" }],
      loader: async (auth: () => Promise<{ key: string }>) => ({
        apiKey: "",
        async fetch(input: string | URL | Request, init?: RequestInit) {
          const headers = new Headers(init?.headers)
          headers.set("authorization", `Bearer token-for-${(await auth()).key}`)
          headers.set("x-own-fetch", "1")
          return through()(input, { ...init, headers })
        },
      }),
    },
  }
}

export default { id: "own-fetch", server }
