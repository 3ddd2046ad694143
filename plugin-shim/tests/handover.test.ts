import { describe, expect, test } from "bun:test"
import { Session, Sessions, type Tagged } from "../src/context.ts"
import { Handovers } from "../src/handover.ts"
import { FakeClock, FakeEditor, settle } from "./fake.ts"

const ALPHA = { provider: "alpha", model: "m1" }
const BETA = { provider: "beta", model: "m1" }
const GAMMA = { provider: "gamma", model: "m1" }
const tagged = (message = "msg_1"): Tagged => ({
  session: "ses_1",
  agent: "build",
  target: ALPHA,
  message: { id: message, sessionID: "ses_1" },
})

describe("a handover", () => {
  test("redirects the message and remembers what the user chose", async () => {
    const editor = new FakeEditor()
    const session = new Session("ses_1")
    session.chosen = { ...ALPHA, variant: "high" }
    const handovers = new Handovers(editor, new FakeClock())
    expect(await handovers.move(session, tagged(), BETA)).toBe(true)
    expect(await handovers.move(session, { ...tagged(), target: BETA }, GAMMA)).toBe(true)
    expect(editor.redirected.map(({ target, chosen }) => [target, chosen])).toEqual([
      [BETA, { ...ALPHA, variant: "high" }],
      [GAMMA, { ...ALPHA, variant: "high" }],
    ])
    expect(session.moves.get("msg_1")?.to).toEqual(GAMMA)
    await handovers.restore(session)
    expect(editor.restored).toEqual([{ message: "msg_1", chosen: { ...ALPHA, variant: "high" } }])
    await handovers.restore(session)
    expect(editor.restored.length).toBe(1)
  })

  test("takes away the empty steps it left, and those OpenCode keeps for now at the next rest", async () => {
    const editor = new FakeEditor()
    const session = new Session("ses_1")
    const handovers = new Handovers(editor, new FakeClock())
    await handovers.move(session, tagged(), BETA)
    session.emptied("msg_2")
    editor.discarding = () => Promise.resolve(false)
    handovers.rest(session)
    await settle()
    editor.discarding = () => Promise.resolve(true)
    handovers.rest(session)
    await settle()
    handovers.rest(session)
    await settle()
    expect(editor.discarded).toEqual(["msg_2", "msg_2"])
    expect(editor.restored.length).toBe(1)
  })

  test("takes a message away that came back empty, because its turn was undone meanwhile", async () => {
    const editor = new FakeEditor()
    const session = new Session("ses_1")
    const handovers = new Handovers(editor, new FakeClock())
    await handovers.move(session, tagged(), BETA)
    editor.restoring = () => false
    await handovers.restore(session)
    expect(editor.discarded).toEqual(["msg_1"])
  })

  test("does not happen to a model the editor does not have", async () => {
    const editor = new FakeEditor()
    const session = new Session("ses_1")
    expect(
      await new Handovers(editor, new FakeClock()).move(session, tagged(), { provider: "nowhere", model: "x" }),
    ).toBe(false)
    expect(editor.redirected).toEqual([])
    expect(session.moves.size).toBe(0)
    expect(editor.logs).toEqual(["could not hand alpha/m1 over to nowhere/x"])
  })

  test("that failed leaves no trace", async () => {
    const editor = new FakeEditor()
    editor.redirecting = () => Promise.resolve(false)
    const session = new Session("ses_1")
    expect(await new Handovers(editor, new FakeClock()).move(session, tagged(), BETA)).toBe(false)
    expect(session.moves.size).toBe(0)
  })

  test("goes round in circles only so often", async () => {
    const editor = new FakeEditor()
    const session = new Session("ses_1")
    const handovers = new Handovers(editor, new FakeClock())
    const done: boolean[] = []
    for (let i = 0; i < 25; i++) done.push(await handovers.move(session, tagged(), i % 2 ? ALPHA : BETA))
    expect(done.indexOf(false)).toBe(20)
    expect(await handovers.move(session, tagged("msg_2"), BETA)).toBe(true)
  })

  test("waits for the one before it in the same session, even one that failed", async () => {
    const editor = new FakeEditor()
    const session = new Session("ses_1")
    const handovers = new Handovers(editor, new FakeClock())
    let finish = (_: Error) => {}
    editor.redirecting = () => new Promise((_, reject) => (finish = reject))
    const first = handovers.move(session, tagged(), BETA).catch(String)
    await settle()
    editor.redirecting = () => Promise.resolve(true)
    const second = handovers.move(session, tagged(), GAMMA)
    const elsewhere = handovers.move(new Session("ses_2"), { ...tagged(), session: "ses_2" }, BETA)
    expect(await elsewhere).toBe(true)
    expect(editor.redirected.map(({ target }) => target.provider)).toEqual(["beta", "beta"])
    finish(new Error("broken"))
    expect(await first).toBe("Error: broken")
    expect(await second).toBe(true)
  })
})

test("what the user chose is put back when the turn is over, not while the session works", async () => {
  const editor = new FakeEditor()
  const clock = new FakeClock()
  const handovers = new Handovers(editor, clock)
  const session = new Session("ses_1")
  handovers.rest(session)
  expect(clock.pending).toBe(0)
  await handovers.move(session, tagged(), BETA)
  session.busy = true
  handovers.rest(session)
  await settle()
  expect(editor.restored).toEqual([])
  session.busy = false
  handovers.rest(session)
  await settle()
  expect(editor.restored).toEqual([{ message: "msg_1", chosen: ALPHA }])
})

test("after a turn the user stopped there is time to undo it first", async () => {
  const editor = new FakeEditor()
  const clock = new FakeClock()
  const handovers = new Handovers(editor, clock)
  const session = new Session("ses_1")
  session.stopped = true
  await handovers.move(session, tagged(), BETA)
  handovers.rest(session)
  await clock.advance(999)
  expect(editor.restored).toEqual([])
  await clock.advance(1)
  expect(editor.restored).toEqual([{ message: "msg_1", chosen: ALPHA }])
})

describe("sessions", () => {
  test("are the same until forgotten, and never too many", () => {
    const sessions = new Sessions()
    const first = sessions.at("ses_0")
    expect(sessions.at("ses_0")).toBe(first)
    for (let i = 1; i < 500; i++) sessions.at(`ses_${i}`).fresh = true
    sessions.at("ses_0")
    sessions.at("ses_new")
    expect(sessions.at("ses_0")).toBe(first)
    expect(sessions.size).toBe(500)
    expect(sessions.at("ses_1").fresh).toBe(false)
    sessions.forget("ses_0")
    expect(sessions.at("ses_0")).not.toBe(first)
  })

  test("remember so many moved turns", () => {
    const session = new Session("ses_1")
    for (let i = 0; i < 30; i++) session.moved(`msg_${i}`, BETA, ALPHA)
    expect(session.moves.size).toBe(20)
    expect(session.moves.has("msg_29")).toBe(true)
  })

  test("keep a toast until content of its target arrives", () => {
    const session = new Session("ses_1")
    const toast = { title: "Switched", message: "to beta" }
    session.expect(BETA, toast)
    expect(session.arrived(ALPHA)).toBeUndefined()
    expect(session.arrived({ ...BETA, variant: "high" })).toBe(toast)
    expect(session.arrived(BETA)).toBeUndefined()
  })
})
