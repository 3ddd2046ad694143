/** A shim's side of the socket, with a daemon that answers as scripted. */

import type { Outcome, Route, Toast } from "../src/protocol.ts"
import { Sidecar } from "../src/sidecar.ts"
import { FakeClock, FakeTransport, HELLO } from "./fake.ts"

export const ABOUT = {
  session: "ses_1",
  directory: "/here",
  agent: "build",
  turn: "msg_1",
  target: { provider: "alpha", model: "m1" },
  wire: "openai-chat",
  mobility: "handover",
} as const
export const ROUTE: Route = { ...ABOUT, at: "attempt", attempt: "a1" }
export const outcome = (attempt: string): Outcome => ({ ...ABOUT, attempt, ended: "ok" })

export function setup(describing = () => Promise.resolve(HELLO)) {
  const clock = new FakeClock()
  const transport = new FakeTransport()
  const heard: string[] = []
  const toasts: Toast[] = []
  const sidecar = new Sidecar({
    transport,
    clock,
    directory: "/here",
    describe: describing,
    hears: {
      greeted: (reply) => heard.push(`greeted ${reply.version}`),
      toast: (toast) => toasts.push(toast),
      away: (why) => heard.push(`away: ${why}`),
      back: (lost) => heard.push(`back, ${lost} lost`),
    },
  })
  /** Runs something to its end, giving what it gave and how long it took. */
  const timed = async <T>(work: Promise<T>): Promise<[T | "still waiting", number]> => {
    const began = clock.now()
    let result: T | "still waiting" = "still waiting"
    let took = -1
    void work.then((value) => {
      result = value
      took = clock.now() - began
    })
    for (let i = 0; i < 100 && took < 0; i++) await clock.advance(50)
    return [result, took]
  }
  return { clock, transport, heard, toasts, sidecar, timed }
}
