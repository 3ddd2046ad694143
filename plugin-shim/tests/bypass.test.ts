import { expect, test } from "bun:test"
import { Bypasses } from "../src/bypass.ts"

const yes = () => true
const no = () => false
const event = (type: string, properties: object) => ({ type, properties })
const SIGNS = [
  event("session.status", { status: { type: "retry", attempt: 1 } }),
  event("session.error", { error: { name: "APIError", data: { statusCode: 402 } } }),
  event("message.updated", { info: { role: "assistant", tokens: { output: 3 } } }),
]
const NO_SIGNS = [
  event("session.status", { status: { type: "busy" } }),
  event("session.error", { error: { name: "MessageAbortedError", data: {} } }),
  event("session.error", {}),
  event("message.updated", { info: { role: "assistant", tokens: { output: 0 } } }),
  event("message.updated", { info: { role: "user" } }),
  event("session.idle", {}),
  event("server.connected", { text: null }),
]

function tagged() {
  const bypasses = new Bypasses()
  bypasses.tagged("ses_1", "alpha", "t1")
  return bypasses
}

test.each(SIGNS)("%j shows that a provider was asked past us, once", (sign) => {
  const bypasses = tagged()
  expect(bypasses.has("alpha")).toBe(false)
  expect(bypasses.heard(sign, "ses_1", (tag) => tag === "t1")).toBe("alpha")
  expect(bypasses.heard(sign, "ses_1", yes)).toBeUndefined()
  expect([bypasses.has("alpha"), bypasses.has("beta")]).toEqual([true, false])
})

test.each(SIGNS)("%j shows nothing when the request has passed, or none was tagged", (sign) => {
  const bypasses = tagged()
  expect(bypasses.heard(sign, "ses_1", no)).toBeUndefined()
  expect(bypasses.heard(sign, "ses_2", yes)).toBeUndefined()
  expect(bypasses.heard(sign, undefined, yes)).toBeUndefined()
  expect(bypasses.has("alpha")).toBe(false)
})

test.each(NO_SIGNS)("%j shows nothing", (sign) => {
  expect(tagged().heard(sign, "ses_1", yes)).toBeUndefined()
})

test("the oldest sessions are forgotten when there are too many", () => {
  const bypasses = tagged()
  for (let i = 0; i < 500; i++) bypasses.tagged(`ses_x${i}`, "beta", "t2")
  expect(bypasses.heard(SIGNS[0]!, "ses_1", yes)).toBeUndefined()
  expect(bypasses.heard(SIGNS[0]!, "ses_x0", yes)).toBe("beta")
})
