import { describe, expect, test } from "bun:test"
import { data, SSE } from "./fake.ts"
import { ANSWER, BETA, limited, proceed, setup, switchTo, wait } from "./fake_attempt.ts"

describe("a wait", () => {
  test("is waited, then asked again as a new attempt", async () => {
    const { run, clock, routes, sent } = setup({ routes: [wait(7), proceed] })
    const running = run()
    await clock.advance(6_999)
    expect(routes.length).toBe(1)
    await clock.advance(1)
    expect(await (await running).text()).toBe(ANSWER)
    expect(routes.length).toBe(2)
    expect(routes[0]?.attempt).not.toBe(routes[1]?.attempt)
    expect(sent.length).toBe(1)
  })

  test("after an empty answer sends it again", async () => {
    const { run, clock, outcomes, sent } = setup({
      outcomes: [wait(0)],
      answers: [() => new Response(data("[DONE]"), { headers: SSE })],
    })
    const running = run()
    await clock.advance(0)
    expect(await (await running).text()).toBe(ANSWER)
    expect(outcomes).toMatchObject([{ ended: "empty" }])
    expect(sent.length).toBe(2)
  })

  test("ends when the user gives up: nothing is sent, nothing moved", async () => {
    const stop = new AbortController()
    const { run, clock, routes, reports, sent, editor } = setup({
      routes: [wait(60), switchTo(BETA)],
      signal: stop.signal,
    })
    const running = run().catch((error: unknown) => (error as Error).name)
    await clock.advance(1_000)
    stop.abort()
    expect(await running).toBe("AbortError")
    expect(reports).toMatchObject([{ ended: "aborted" }])
    expect([routes.length, sent.length, editor.redirected.length]).toEqual([1, 0, 0])
  })

  test("is not repeated forever", async () => {
    const { run, clock, routes, sent } = setup({ routes: Array.from({ length: 100 }, () => wait(0)) })
    const running = run()
    await clock.advance(100)
    expect(await (await running).text()).toBe(ANSWER)
    expect([routes.length, sent.length]).toEqual([20, 1])
  })

  test("is pointless once OpenCode's own time limit is up: what failed is delivered", async () => {
    const stop = new AbortController()
    const { run, sent } = setup({
      outcomes: [wait(5)],
      signal: stop.signal,
      answers: [
        () => {
          stop.abort(new DOMException("timed out", "TimeoutError"))
          return Promise.reject(stop.signal.reason)
        },
      ],
    })
    expect(await run().catch((error: unknown) => (error as Error).name)).toBe("TimeoutError")
    expect(sent.length).toBe(1)
  })
})

describe("a user who gives up", () => {
  test("while the daemon is asked gets nothing sent or moved", async () => {
    const stop = new AbortController()
    stop.abort()
    const { run, reports, sent, editor } = setup({ routes: [switchTo(BETA)], signal: stop.signal })
    expect(await run().catch((error: unknown) => (error as Error).name)).toBe("AbortError")
    expect(reports).toMatchObject([{ ended: "aborted" }])
    expect([sent.length, editor.redirected.length]).toEqual([0, 0])
  })

  test("while a failure is reported gets no handover", async () => {
    const stop = new AbortController()
    const { run, editor, reports } = setup({
      outcomes: [switchTo(BETA)],
      signal: stop.signal,
      answers: [limited],
      reporting: () => stop.abort(),
    })
    expect(await run().catch((error: unknown) => (error as Error).name)).toBe("AbortError")
    expect(editor.redirected).toEqual([])
    expect(reports).toMatchObject([{ ended: "aborted" }])
  })

  test("during a handover gets no answer any more", async () => {
    const stop = new AbortController()
    const { run, editor } = setup({ routes: [switchTo(BETA)], signal: stop.signal })
    editor.redirecting = () => {
      stop.abort()
      return Promise.resolve(true)
    }
    expect(await run().catch((error: unknown) => (error as Error).name)).toBe("AbortError")
  })
})

test("what is sent after all rounds is reported too", async () => {
  const asking = { routes: Array.from({ length: 20 }, () => wait(0)), answers: [limited] }
  const bad = setup(asking)
  const run = bad.run()
  await bad.clock.advance(1)
  expect((await run).status).toBe(429)
  expect(bad.reports).toMatchObject([{ ended: "failed", status: 429 }])
  const good = setup({ routes: Array.from({ length: 20 }, () => wait(0)) })
  const answer = good.run()
  await good.clock.advance(1)
  expect(await (await answer).text()).toBe(ANSWER)
  expect(good.reports).toMatchObject([{ ended: "ok" }])
})

describe("a long refusal nobody says anything about", () => {
  const long = (named = "3600") => () => new Response("{}", { status: 429, headers: { "retry-after": named } })

  test("is not delivered before the daemon was looked for: it may be starting again", async () => {
    const { run, clock, editor, routes, sent } = setup({
      routes: [proceed, undefined, switchTo(BETA)],
      outcomes: [undefined],
      answers: [long()],
    })
    const answer = run()
    await clock.advance(2_000)
    expect(await (await answer).text()).toContain("tool_calls")
    expect(editor.redirected.length).toBe(1)
    expect(sent.length).toBe(1)
    expect(routes.map(({ attempt }) => attempt === undefined)).toEqual([false, true, true])
  })

  test("is sent again when the daemon is back and has not heard of it yet", async () => {
    const { run, clock, sent } = setup({ routes: [proceed, proceed], outcomes: [undefined], answers: [long()] })
    const answer = run()
    await clock.advance(1_000)
    expect(await (await answer).text()).toBe(ANSWER)
    expect(sent.length).toBe(2)
  })

  test("is delivered when there is no daemon, and at once when the wait is short", async () => {
    const gone = Array.from({ length: 9 }, () => undefined)
    for (const named of ["3600", "Wed, 21 Oct 2065 07:28:00 GMT"]) {
      const { run, clock, routes } = setup({ routes: [...gone], outcomes: [undefined], answers: [long(named)] })
      const answer = run()
      await clock.advance(3_000)
      expect((await answer).headers.get("retry-after")).toBe(named)
      expect(routes.length).toBe(4)
    }
    const short = setup({ routes: [...gone], outcomes: [undefined], answers: [long("10")] })
    expect((await short.run()).status).toBe(429)
  })

  test("is not looked after when the user gives up meanwhile", async () => {
    const controller = new AbortController()
    const { run, clock, routes } = setup({
      routes: [proceed],
      outcomes: [undefined],
      answers: [long()],
      signal: controller.signal,
    })
    const answer = run().catch((error: unknown) => error)
    await clock.advance(500)
    controller.abort(new Error("stop"))
    expect(String(await answer)).toContain("stop")
    expect(routes.length).toBe(1)
  })
})
