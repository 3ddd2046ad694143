/**
 * The plugin with a stopwatch around it: how long OpenCode is kept by it for each request.
 *
 * Loaded by OpenCode in the plugin's place. A fetch below the plugin's and one above it note when a request, its answer
 * and each piece of that go in and come out; what lies between is the provider's time. Of the hooks that OpenCode waits
 * for, the whole time counts, of `event`, for which it does not wait, what it takes before it gives way. Appends a line
 * of JSON for each request to TIMES, in milliseconds: `out` the request, `back` the beginning of its answer, `rest` the
 * other pieces, `hooks` and `events` what ran since the last request.
 */

import type { Hooks, Plugin } from "@opencode-ai/plugin"
import { appendFileSync } from "node:fs"

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

const now = (): number => performance.now()
const spent = { out: 0, back: 0, rest: 0, hooks: 0, events: 0 }
/** When something last went into the plugin that it is to pass on. */
let entered = 0
let begun = false

const isStep = (input: unknown): boolean => String(input instanceof Request ? input.url : input).endsWith("/completions")

/** A response that says when somebody asks for a piece of it, and when that somebody gets it. */
function watched(response: Response, asked: () => void, got: (done: boolean) => void): Response {
  const reader = response.body?.getReader()
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        asked()
        const part = await reader?.read()
        if (part?.value) controller.enqueue(part.value)
        else controller.close()
        got(!part?.value)
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  )
  return new Response(body, response)
}

const provider = globalThis.fetch
const below: Fetch = async (input, init) => {
  if (!isStep(input)) return provider(input, init)
  spent.out += now() - entered
  const head = () => {
    // Until it asks for the first piece, the plugin is at the head of the answer, if it has not handed it on by then.
    if (!begun) spent.back += now() - entered
    begun = true
  }
  begun = false
  const response = watched(await provider(input, init), head, () => void (entered = now()))
  entered = now()
  return response
}
globalThis.fetch = Object.assign(below, { preconnect: provider.preconnect })
const { default: ours } = (await import(process.env["TIMED"] ?? "")) as { default: { server: Plugin } }

const server: Plugin = async (input, options) => {
  const found = await ours.server(input, options)
  const plugin = globalThis.fetch
  const above: Fetch = async (url, init) => {
    if (!isStep(url)) return plugin(url, init)
    entered = now()
    const response = await plugin(url, init)
    spent.back += now() - entered
    begun = true
    let asked = 0
    const out = (done: boolean) => {
      // What was there already when it was asked for took its time in the plugin alone.
      spent.rest += now() - Math.max(asked, entered)
      if (done) setTimeout(write)
    }
    return watched(response, () => void (asked = now()), out)
  }
  globalThis.fetch = Object.assign(above, { preconnect: plugin.preconnect })
  const waitedFor =
    <A extends unknown[]>(hook: (...given: A) => Promise<void>) =>
    async (...given: A) => {
      const began = now()
      await hook(...given)
      spent.hooks += now() - began
    }
  const event: Hooks["event"] = (heard) => {
    const began = now()
    const done = found.event?.(heard)
    spent.events += now() - began
    return done ?? Promise.resolve()
  }
  const watching = Object.entries(found).filter(([name]) => name.startsWith("chat."))
  return { ...found, event, ...Object.fromEntries(watching.map(([name, hook]) => [name, waitedFor(hook as never)])) }
}

function write(): void {
  appendFileSync(process.env["TIMES"] ?? "", `${JSON.stringify(spent)}\n`)
  for (const what of Object.keys(spent)) spent[what as keyof typeof spent] = 0
}

export default { id: "timed", server }
