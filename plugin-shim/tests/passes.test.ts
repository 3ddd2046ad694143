import { beforeEach, describe, expect, test } from "bun:test"
import { Passes } from "../src/passes.ts"
import type { Decision, Route } from "../src/protocol.ts"

const alpha = { provider: "alpha", model: "m1" }
const beta = { provider: "beta", model: "m1" }
const about = (more: Partial<Route> = {}): Route => ({
  at: "attempt",
  session: "s1",
  directory: "/d",
  agent: "build",
  turn: "u1",
  target: alpha,
  wire: "openai-chat",
  mobility: "handover",
  ...more,
})
const proceed = (more: Partial<Decision> = {}): Decision => ({
  action: "proceed",
  reason: { code: "free", text: "" },
  pass_s: 1,
  ...more,
})

let now: number
let seal: string
let passes: Passes
beforeEach(() => {
  now = 1_000_000
  seal = "1.7"
  passes = new Passes({ now: () => now, after: () => () => undefined }, () => seal)
})

describe("a pass", () => {
  test("is good once, for the same turn at the same target", () => {
    passes.keep(about(), proceed())
    expect(passes.use(about({ turn: "u2" }))).toBe(false)
    expect(passes.use(about({ target: beta }))).toBe(false)
    expect(passes.use(about({ session: "s2" }))).toBe(false)
    expect(passes.use(about())).toBe(true)
    expect(passes.use(about())).toBe(false)
  })

  test("is good for as long as the daemon said", () => {
    passes.keep(about(), proceed())
    now += 1_000
    expect(passes.use(about())).toBe(false)
  })

  test("is worth nothing when the clock was stepped back", () => {
    passes.keep(about(), proceed())
    now -= 3_600_000
    expect(passes.use(about())).toBe(false)
  })

  test("is given only where the daemon gives one, and to steps only", () => {
    passes.keep(about(), undefined)
    passes.keep(about(), proceed({ pass_s: null }))
    expect(passes.use(about())).toBe(false)
    passes.keep(about({ mobility: "reroute" }), proceed())
    expect(passes.use(about({ mobility: "reroute" }))).toBe(false)
    passes.keep(about(), proceed())
    expect(passes.use(about({ mobility: "reroute" }))).toBe(false)
  })

  test("comes with a switch for where it leads, and takes back what its provider was given", () => {
    passes.keep(about({ session: "s2" }), proceed())
    passes.keep(about(), proceed({ action: "switch", target: beta }))
    expect(passes.use(about({ session: "s2" }))).toBe(false)
    expect(passes.use(about({ target: beta }))).toBe(true)
  })

  test("is lost when something fails at its provider, in whatever session", () => {
    passes.keep(about(), proceed())
    passes.keep(about({ session: "s2", target: beta }), proceed())
    passes.drop("alpha")
    expect(passes.use(about())).toBe(false)
    expect(passes.use(about({ session: "s2", target: beta }))).toBe(true)
  })

  test("of the oldest session goes when there are too many", () => {
    for (let i = 0; i <= 500; i++) passes.keep(about({ session: `s${i}` }), proceed())
    expect(passes.use(about({ session: "s0" }))).toBe(false)
    expect(passes.use(about({ session: "s1" }))).toBe(true)
  })
})

describe("leave", () => {
  const LEAVE = { pass_s: null, leave: "1.7" }
  const opens = (more: Partial<Route> = {}) => passes.use(about({ at: "message", turn: "u2", ...more }))

  test("opens the session's next turn, and sends its first attempt", () => {
    passes.keep(about(), proceed(LEAVE))
    now += 600_000
    expect(opens()).toBe(true)
    expect(passes.use(about({ turn: "u2" }))).toBe(true)
    expect(passes.use(about({ turn: "u2" }))).toBe(false)
  })

  test("is good once, and in no other session, at no other target", () => {
    passes.keep(about(), proceed(LEAVE))
    expect(opens({ session: "s2" })).toBe(false)
    expect(opens()).toBe(true)
    expect(opens({ turn: "u3" })).toBe(false)
    passes.keep(about(), proceed(LEAVE))
    expect(opens({ target: beta })).toBe(false)
  })

  test("sends no attempt by itself", () => {
    passes.keep(about(), proceed(LEAVE))
    expect(passes.use(about())).toBe(false)
  })

  test("ends where the seal is broken or gone", () => {
    passes.keep(about(), proceed(LEAVE))
    seal = "1.8"
    expect(opens()).toBe(false)
    passes.keep(about(), proceed(LEAVE))
    seal = ""
    expect(opens()).toBe(false)
  })

  test("ends with time, however the clock is stepped", () => {
    passes.keep(about(), proceed(LEAVE))
    now += 1_800_000
    expect(opens()).toBe(false)
    passes.keep(about(), proceed(LEAVE))
    now -= 1
    expect(opens()).toBe(false)
  })

  test("is lost when anything fails at its provider, and given to steps only", () => {
    passes.keep(about(), proceed(LEAVE))
    passes.drop("alpha")
    expect(opens()).toBe(false)
    passes.keep(about({ mobility: "reroute" }), proceed(LEAVE))
    expect(opens()).toBe(false)
  })
})
