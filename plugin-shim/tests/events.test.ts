import { describe, expect, test } from "bun:test"
import { Sessions } from "../src/context.ts"
import { concerns, remember, report, sessionOf } from "../src/events.ts"

const SESSION = "ses_1"
const event = (type: string, properties: unknown) => ({ type, properties })
const tokens = (input: number, output: number, read = 0, write = 0) => ({
  input,
  output,
  reasoning: 0,
  cache: { read, write },
})
const step = (change: object) =>
  event("message.updated", {
    sessionID: SESSION,
    info: {
      id: "msg_2",
      sessionID: SESSION,
      parentID: "msg_1",
      role: "assistant",
      mode: "build",
      agent: "build",
      providerID: "alpha",
      modelID: "m1",
      path: { cwd: "/secret/place", root: "/" },
      cost: 0.5,
      tokens: tokens(10, 3),
      time: { created: 1, completed: 2 },
      finish: "stop",
      ...change,
    },
  })

test("everything that is remembered or told concerns us, and pieces of text do not", () => {
  const types = ["created", "status", "error", "idle", "compacted", "deleted"].map((what) => `session.${what}`)
  for (const type of types) expect(concerns(event(type, {}))).toBe(true)
  for (const type of ["message.part.updated", "message.part.delta", "session.updated", "message.updated"]) {
    expect(concerns(event(type, {}))).toBe(false)
  }
  for (const info of [{ finish: "stop" }, { error: { name: "x" } }, { time: { created: 1, completed: 2 } }]) {
    expect(concerns(event("message.updated", { info }))).toBe(true)
  }
  expect(concerns(event("message.updated", { info: { role: "user", time: { created: 1 } } }))).toBe(false)
})

describe("what the daemon is told", () => {
  test("of a step that ended: what it used, and nothing of the place", () => {
    const told = report(step({}))
    expect(told?.properties).toEqual({
      info: {
        id: "msg_2",
        sessionID: SESSION,
        parentID: "msg_1",
        role: "assistant",
        agent: "build",
        mode: "build",
        providerID: "alpha",
        modelID: "m1",
        cost: 0.5,
        tokens: tokens(10, 3),
        time: { created: 1, completed: 2 },
        finish: "stop",
      },
    })
  })

  test.each([
    ["a step that goes on", step({ time: { created: 1 } })],
    ["the empty step of a handover", step({ tokens: tokens(0, 0), finish: "tool-calls" })],
    ["the empty step of a handover", step({ tokens: tokens(0, 0), finish: "unknown" })],
    ["a user's message", step({ role: "user" })],
    ["a session that begins", event("session.created", { sessionID: SESSION, info: { id: SESSION, title: "SECRET" } })],
    ["one that works", event("session.status", { sessionID: SESSION, status: { type: "busy" } })],
    ["one that rests", event("session.idle", { sessionID: SESSION })],
    ["text", event("message.part.updated", { part: { text: "secret" } })],
    ["anything new", event("brand.new", { x: 1 })],
    ["nonsense", event("message.updated", null)],
  ])("of %s: nothing", (_, given) => expect(report(given)).toBeUndefined())

  test("of a failed step: the error, shortened, with headers of limits only", () => {
    const error = {
      name: "APIError",
      data: {
        message: "m".repeat(5_000),
        statusCode: 429,
        isRetryable: true,
        responseHeaders: { "retry-after": "7", "set-cookie": "SECRET" },
        responseBody: "b".repeat(50_000),
        metadata: { url: "https://x/?key=SECRET" },
      },
    }
    for (const told of [
      report(step({ time: { created: 1 }, error })),
      report(event("session.error", { sessionID: SESSION, error })),
    ]) {
      const said = JSON.stringify(told)
      expect(said).not.toContain("SECRET")
      expect(said.length).toBeLessThan(20_000)
      const properties = told?.properties as { error?: unknown; info?: { error: unknown } }
      expect(properties.error ?? properties.info?.error).toMatchObject({
        name: "APIError",
        data: { statusCode: 429, responseHeaders: { "retry-after": "7" } },
      })
    }
  })

  test("of sessions: retries and their end", () => {
    const status = { type: "retry", attempt: 1, message: "limited", next: 5 }
    expect(report(event("session.status", { sessionID: SESSION, status }))?.properties).toEqual({
      sessionID: SESSION,
      status,
    })
    expect(report(event("session.deleted", { info: { id: SESSION } }))?.properties).toEqual({ sessionID: SESSION })
  })
})

describe("what is remembered", () => {
  const after = (...events: { type: string; properties: unknown }[]) => {
    const sessions = new Sessions()
    for (const given of events) remember(given, sessions)
    return sessions.at(SESSION)
  }

  test("who started a session, and that nothing was said in it", () => {
    expect(
      after(event("session.created", { sessionID: SESSION, info: { id: SESSION, parentID: "ses_0" } })),
    ).toMatchObject({ parent: "ses_0", fresh: true })
    expect(after().fresh).toBe(false)
  })

  test("which empty steps a handover left, and no others", () => {
    const sessions = new Sessions()
    const empty = { finish: "tool-calls", tokens: tokens(0, 0) }
    remember(step({ ...empty, id: "msg_before" }), sessions)
    sessions.at(SESSION).moved("msg_1", { provider: "beta", model: "m1" }, { provider: "alpha", model: "m1" })
    for (const [id, change] of Object.entries({
      msg_empty: empty,
      msg_full: { finish: "tool-calls" },
      msg_other: { ...empty, parentID: "msg_0" },
      msg_user: { ...empty, role: "user" },
      msg_failed: { ...empty, error: { name: "UnknownError" } },
    }))
      remember(step({ id, ...change }), sessions)
    expect([...sessions.at(SESSION).empties]).toEqual(["msg_empty"])
  })

  test("whether it works", () => {
    const status = (type: string) => event("session.status", { sessionID: SESSION, status: { type } })
    expect(after(status("busy")).busy).toBe(true)
    expect(after(status("retry")).busy).toBe(true)
    expect(after(status("busy"), status("idle")).busy).toBe(false)
  })

  test("whether the user stopped it", () => {
    const error = (name: string) => event("session.error", { sessionID: SESSION, error: { name } })
    expect(after(error("MessageAbortedError")).stopped).toBe(true)
    expect(after(error("MessageAbortedError"), error("APIError")).stopped).toBe(false)
  })

  test("how much it holds, until it is compacted; empty steps and summaries say nothing", () => {
    expect(after(step({ tokens: tokens(10, 3, 100, 20) })).tokens).toBe(133)
    expect(after(step({}), step({ tokens: tokens(0, 0) })).tokens).toBe(13)
    expect(after(step({}), step({ summary: true, tokens: tokens(999, 9) })).tokens).toBe(13)
    expect(after(step({}), event("session.compacted", { sessionID: SESSION })).tokens).toBe(0)
  })

  test("nothing of a session that is gone", () => {
    const sessions = new Sessions()
    remember(step({}), sessions)
    remember(event("session.deleted", { sessionID: SESSION, info: {} }), sessions)
    expect(sessions.size).toBe(0)
  })

  test("nothing of nonsense", () => {
    const sessions = new Sessions()
    for (const properties of [undefined, null, 7, "x", {}, { info: 7 }])
      remember(event("message.updated", properties), sessions)
    expect(sessions.size).toBe(0)
  })
})

test("the session of an event is found wherever it stands", () => {
  expect(sessionOf(event("x", { sessionID: "a" }))).toBe("a")
  expect(sessionOf(event("x", { info: { sessionID: "b", id: "msg" } }))).toBe("b")
  expect(sessionOf(event("x", { info: { id: "c" } }))).toBe("c")
  expect(sessionOf(event("x", 7))).toBeUndefined()
})
