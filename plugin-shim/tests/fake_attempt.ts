/** One request of a step, with a daemon, a provider and an editor that do as scripted. */

import { carrier, type Services } from "../src/attempt.ts"
import { Sessions, type Tagged } from "../src/context.ts"
import { Handovers } from "../src/handover.ts"
import type { Decision, Outcome, Route, Target } from "../src/protocol.ts"
import { chunk, data, FakeClock, FakeEditor, PROCEED, SSE } from "./fake.ts"

export const URL = "https://alpha.test/v1/chat/completions"
export const WORD = chunk({ content: "word" })
export const ANSWER = WORD + data("[DONE]")
export const ALPHA = { provider: "alpha", model: "m1" }
export const BETA = { provider: "beta", model: "m1" }
export const reason = { code: "rate_limit", text: "too many requests" }
export const proceed = PROCEED as Decision
export const switchTo = (target: Target, more: Partial<Decision> = {}): Decision => ({
  action: "switch",
  target,
  reason,
  ...more,
})
export const wait = (wait_s: number): Decision => ({ action: "wait", wait_s, reason })
export const limited = () => new Response('{"error":{"message":"limited"}}', { status: 429, headers: { "retry-after": "9" } })
export const good = () => new Response(ANSWER, { headers: SSE })

export interface Script {
  routes?: (Decision | undefined)[]
  outcomes?: (Decision | undefined)[]
  answers?: ((url: string, init: RequestInit) => Response | Promise<Response>)[]
  tagged?: Partial<Tagged>
  url?: string
  body?: object
  signal?: AbortSignal
  headers?: Record<string, string>
  reporting?: () => void
  /** What the daemon said of running turns. */
  handover?: boolean
}

export function setup(script: Script) {
  const clock = new FakeClock()
  const editor = new FakeEditor()
  const sessions = new Sessions()
  const routes: Route[] = []
  const outcomes: Outcome[] = []
  const reports: Outcome[] = []
  const sent: { url: string; init: RequestInit }[] = []
  const services: Services = {
    clock,
    directory: "/here",
    editor,
    sessions,
    handovers: new Handovers(editor, clock),
    sidecar: {
      route: async (route) => (routes.push(route), script.routes?.length ? script.routes.shift() : proceed),
      outcome: async (outcome) => (outcomes.push(outcome), script.reporting?.(), script.outcomes?.shift()),
      report: (outcome) => void reports.push(outcome),
      patience: () => 60_000,
      handover: script.handover,
    },
  }
  const tagged: Tagged = {
    session: "ses_1",
    agent: "build",
    target: ALPHA,
    message: { id: "msg_1", sessionID: "ses_1" },
    ...script.tagged,
  }
  const body = JSON.stringify(script.body ?? { model: "m1", stream: true, tools: [{}] })
  const init = {
    method: "POST",
    body,
    headers: { authorization: "Bearer KEY", ...script.headers },
    ...(script.signal && { signal: script.signal }),
  }
  const send = async (url: string | URL | Request, sending: RequestInit = {}) => {
    sent.push({ url: String(url), init: sending })
    const answer = script.answers?.shift()
    return answer ? answer(String(url), sending) : good()
  }
  const run = () => carrier(tagged, services)({ url: script.url ?? URL, init, body }, send)
  return { run, clock, editor, sessions, routes, outcomes, reports, sent }
}
