import { describe, expect, test } from "bun:test"

import { decisionIn, greetingIn, toastsIn } from "../src/answers.ts"

const REASON = { code: "free", text: "free to use" }
const TOAST = { title: "t", message: "m" }

describe("a decision", () => {
  test.each([
    { action: "proceed", reason: REASON },
    { action: "a new one", reason: { ...REASON, more: 1 }, more: [] },
    { action: "switch", reason: REASON, target: { provider: "a", model: "m", variant: null }, arrival: TOAST },
    { action: "wait", reason: REASON, wait_s: 3, target: null, toast: { ...TOAST, variant: "info", duration_ms: 5 } },
  ])("is taken as it is: %j", (data) => {
    expect(decisionIn(data)).toEqual(data as never)
  })

  test.each([
    null,
    "proceed",
    [],
    { action: 7, reason: REASON },
    { action: "proceed" },
    { action: "proceed", reason: "free" },
    { action: "proceed", reason: { code: "free" } },
    { action: "switch", reason: REASON, target: "a/m" },
    { action: "switch", reason: REASON, target: { provider: "a", model: 5 } },
    { action: "switch", reason: REASON, target: { provider: "a", model: "m", variant: {} } },
    { action: "wait", reason: REASON, wait_s: "long" },
    { action: "wait", reason: REASON, wait_s: Number.NaN },
    { action: "proceed", reason: REASON, toast: "hello" },
    { action: "proceed", reason: REASON, arrival: { title: "t" } },
    { action: "proceed", reason: REASON, toast: { ...TOAST, duration_ms: "5" } },
  ].map((data) => [data]))("is none in another form: %j", (data) => {
    expect(decisionIn(data)).toBeUndefined()
  })
})

describe("a greeting", () => {
  test.each([{}, { protocol: 9, version: "9", warnings: ["w"], toasts: false, first_token_timeout_s: { "*": 60 } }])(
    "of any version is understood: %j",
    (data) => {
      expect(greetingIn(data)).toEqual(data as never)
    },
  )

  test.each([null, "hello", [], { warnings: "w" }, { warnings: [1] }, { toasts: "no" }, { first_token_timeout_s: { "*": "60" } }].map((data) => [data]))(
    "is none in another form: %j",
    (data) => {
      expect(greetingIn(data)).toBeUndefined()
    },
  )
})

test("toasts are taken where there are some, and only those", () => {
  expect(toastsIn({ accepted: 1, toasts: [TOAST, "x", { title: 1 }] })).toEqual([TOAST])
  for (const data of [null, "x", {}, { toasts: 5 }]) expect(toastsIn(data)).toEqual([])
})
