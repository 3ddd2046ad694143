import { expect, test } from "bun:test"
import type { HelloReply, Toast } from "../src/protocol.ts"
import { Voice } from "../src/voice.ts"
import { FakeClock } from "./fake.ts"

const switched: Toast = {
  title: "Switched to beta/m1",
  message: "alpha/m1: rate limit.",
  variant: "warning",
  key: "switch alpha/m1 beta/m1",
  line: "alpha/m1 -> beta/m1: rate limit.",
}

function setup({ draws = false, ...reply }: { draws?: boolean } & Partial<HelloReply> = {}) {
  const clock = new FakeClock()
  const toasts: string[] = []
  const logs: string[] = []
  const lines: string[] = []
  const voice = new Voice(clock, {
    draws,
    toast: ({ title }) => toasts.push(title),
    log: (level, text) => logs.push(`${level} ${text}`),
    stderr: (line) => lines.push(line),
  })
  voice.settle({ protocol: 1, version: "1", ...reply })
  return { voice, clock, toasts, logs, lines }
}

test("a switch is a toast, a line in the log and the same line on standard error", () => {
  const { voice, toasts, logs, lines } = setup()
  voice.say(switched)
  expect(toasts).toEqual(["Switched to beta/m1"])
  expect(logs).toEqual(["info alpha/m1 -> beta/m1: rate limit."])
  expect(lines).toEqual(["rate-limit-sidecar: alpha/m1 -> beta/m1: rate limit.\n"])
})

test("the same news of ten sessions is told once a minute", () => {
  const { voice, clock, toasts } = setup()
  for (let i = 0; i < 10; i++) voice.say({ ...switched, message: `free again in ${i} s` }, `ses_${i}`)
  voice.say({ ...switched, key: "back beta/m1 alpha/m1", title: "Back on alpha/m1" }, "ses_1")
  expect(toasts).toEqual(["Switched to beta/m1", "Back on alpha/m1"])
  clock.jump(60_000)
  voice.say(switched)
  expect(toasts.length).toBe(3)
})

test("what happens to a session again is news again, to all of them once", () => {
  const { voice, toasts } = setup()
  for (let i = 0; i < 3; i++) for (const session of ["ses_1", "ses_2", "ses_3"]) voice.say(switched, session)
  expect(toasts.length).toBe(3)
})

test("what has no key is always news, and what was said is not kept for ever", () => {
  const { voice, toasts } = setup()
  for (let i = 0; i < 3; i++) voice.say({ title: "Configuration", message: "m" })
  expect(toasts.length).toBe(3)
  for (let i = 0; i < 101; i++) voice.say({ ...switched, key: `k${i}` })
  voice.say({ ...switched, key: "k0" })
  expect(toasts.length).toBe(3 + 102)
})

test("standard error is left alone where somebody draws, unless it is asked for", () => {
  const said = (given: Parameters<typeof setup>[0]) => {
    const { voice, lines } = setup(given)
    voice.say(switched)
    return lines.length
  }
  expect(said({ draws: true })).toBe(0)
  expect(said({ draws: true, stderr: "always" })).toBe(1)
  expect(said({ stderr: "never" })).toBe(0)
  expect(said({ stderr: "always" })).toBe(1)
})

test("without toasts the line and the log remain", () => {
  const { voice, toasts, logs, lines } = setup({ toasts: false })
  voice.say({ ...switched, variant: "error", line: "one\nline\u001b[2J" })
  expect(toasts).toEqual([])
  expect(logs.length).toBe(1)
  expect(logs[0]).toStartWith("error ")
  expect(lines).toEqual(["rate-limit-sidecar: one line [2J\n"])
})
