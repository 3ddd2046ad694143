/**
 * A login for one of Google's coding subscriptions, as published plugins do it: the request is wrapped up and sent to
 * another address, the answer unwrapped event by event. What is no wrapped answer passes as it is.
 */
const server = async (_: unknown, { provider, url }: { provider: string; url: string }) => ({
  auth: {
    provider,
    methods: [{ type: "api", label: "Key" }],
    loader: async () => ({
      apiKey: "",
      async fetch(_: string | URL | Request, init?: RequestInit) {
        const headers = new Headers(init?.headers)
        headers.set("authorization", "Bearer subscription")
        const body = JSON.stringify({ project: "p", request: JSON.parse(String(init?.body)) })
        const answer = await fetch(`${url}/v1internal:streamGenerateContent?alt=sse`, { ...init, headers, body })
        if (!answer.ok) return answer
        const lines = (await answer.text()).split("\n").map((line) => {
          if (!line.startsWith("data:")) return line
          const event = JSON.parse(line.slice(5)) as { response?: unknown }
          return `data: ${JSON.stringify(event.response ?? event)}`
        })
        return new Response(lines.join("\n"), { headers: { "content-type": "text/event-stream" } })
      },
    }),
  },
})

export default { id: "google-login", server }
