import { describe, expect, test } from "bun:test"
import { byHand, chunk, data, SSE } from "./fake.ts"
import { ALPHA, ANSWER, BETA, limited, proceed, reason, setup, switchTo, WORD } from "./fake_attempt.ts"

describe("a request that may be sent", () => {
  test("is asked for, sent as it is, passed on and reported", async () => {
    const { run, routes, reports, sent, sessions } = setup({ headers: { "x-parent-session-id": "ses_0" } })
    sessions.at("ses_1").tokens = 123
    const response = await run()
    expect(await response.text()).toBe(ANSWER)
    expect(routes).toMatchObject([
      {
        at: "attempt",
        session: "ses_1",
        parent: "ses_0",
        directory: "/here",
        agent: "build",
        turn: "msg_1",
        target: ALPHA,
        wire: "openai-chat",
        mobility: "handover",
        needs: { context: 123, tools: true, images: false },
      },
    ])
    expect(sent.length).toBe(1)
    expect(new Headers(sent[0]?.init.headers).get("authorization")).toBe("Bearer KEY")
    expect(reports).toMatchObject([
      { attempt: routes[0]?.attempt, ended: "ok", status: 200, turn: "msg_1", target: ALPHA },
    ])
  })

  test("is sent when nobody answers, and its failure is delivered", async () => {
    const { run, outcomes } = setup({ routes: [undefined], outcomes: [undefined], answers: [limited] })
    const response = await run()
    expect([response.status, response.headers.get("retry-after"), await response.text()]).toEqual([
      429,
      "9",
      '{"error":{"message":"limited"}}',
    ])
    expect(outcomes).toMatchObject([{ ended: "failed", status: 429 }])
  })

  test("fails as it failed when the daemon says so", async () => {
    const error = new Error("no route to host")
    const { run } = setup({ outcomes: [proceed], answers: [() => Promise.reject(error)] })
    expect(await run().catch((caught: unknown) => caught)).toBe(error)
  })
})

describe("a switch of a step", () => {
  test("before sending: nothing is sent, the turn moves, the answer is an empty step", async () => {
    const { run, editor, sent, reports } = setup({ routes: [switchTo(BETA)] })
    const response = await run()
    expect(response.headers.get("content-type")).toBe("text/event-stream")
    expect(await response.text()).toContain('"finish_reason":"tool_calls"')
    expect(sent).toEqual([])
    expect(reports).toEqual([])
    expect(editor.redirected).toMatchObject([{ target: BETA, chosen: ALPHA, message: { id: "msg_1" } }])
  })

  test("after a failure: in the same way, and the failed answer is dropped", async () => {
    const upstream = byHand()
    let signal: AbortSignal | null | undefined
    const { run, editor } = setup({
      outcomes: [switchTo(BETA)],
      answers: [
        (_, init) => {
          signal = init.signal
          return new Response(upstream.stream, { headers: SSE })
        },
      ],
    })
    upstream.write(data({ error: { message: "limited" } }))
    expect(await (await run()).text()).toContain("tool_calls")
    expect(editor.redirected.length).toBe(1)
    expect(signal?.aborted).toBe(true)
  })

  test("of a request without a stream is answered with an object", async () => {
    const { run } = setup({ routes: [switchTo(BETA)], body: { model: "m1" } })
    const response = await run()
    expect(response.headers.get("content-type")).toBe("application/json")
    expect(await response.json()).toMatchObject({ choices: [{ finish_reason: "tool_calls" }] })
  })

  test("that is not possible lets the request through, or its failure", async () => {
    const before = setup({ routes: [switchTo({ provider: "nowhere", model: "x" })] })
    expect(await (await before.run()).text()).toBe(ANSWER)
    const after = setup({ outcomes: [switchTo({ provider: "nowhere", model: "x" })], answers: [limited] })
    expect((await after.run()).status).toBe(429)
  })

  test("shows the toast when the new target's first content is there", async () => {
    const toast = { title: "Switched to beta/m1", message: "alpha is limited" }
    const { run, editor, sessions } = setup({ routes: [switchTo(BETA, { arrival: toast })] })
    await run()
    expect(editor.toasts).toEqual([])
    const next = setup({ tagged: { target: BETA } })
    next.sessions.at("ses_1").expect(BETA, toast)
    await next.run()
    expect(next.editor.toasts).toEqual([toast])
    expect(sessions.at("ses_1").arrived(BETA)).toBe(toast)
  })

  test("shows the other toast at once", async () => {
    const toast = { title: "No target is free", message: "until noon" }
    const { run, editor } = setup({ routes: [{ ...proceed, toast }] })
    await run()
    expect(editor.toasts).toEqual([toast])
  })

  test("is made again without asking where the message still names the old target", async () => {
    const { run, editor, routes, sent, sessions } = setup({})
    sessions.at("ses_1").moved("msg_1", BETA, ALPHA)
    expect(await (await run()).text()).toContain("tool_calls")
    expect(editor.redirected).toMatchObject([{ target: BETA, chosen: ALPHA }])
    expect([routes.length, sent.length]).toEqual([0, 0])
  })

  test("has been made where the message names the new one", async () => {
    const { run, editor, routes, sessions } = setup({ tagged: { target: BETA } })
    sessions.at("ses_1").moved("msg_1", BETA, ALPHA)
    expect(await (await run()).text()).toBe(ANSWER)
    expect([routes.length, editor.redirected.length]).toEqual([1, 0])
  })
})

describe("an answer that breaks off", () => {
  const HALF = chunk({ content: "half" })
  const half = () => new Response(HALF, { headers: SSE })
  const CONVERSATION = { stream: true, messages: [{ role: "user" }, { role: "assistant", content: "half" }] }
  const asks = (init: RequestInit | undefined) => String(init?.body).includes("broke off")

  test("ends as a step, is reported, and its rest is asked for once it is the last word", async () => {
    const world = setup({ answers: [half], body: CONVERSATION })
    expect(await (await world.run()).text()).toBe(HALF)
    expect(world.reports).toMatchObject([{ ended: "failed", content_sent: true }])
    expect(asks(world.sent[0]?.init)).toBe(false)
    await (await world.run()).text()
    expect(asks(world.sent[1]?.init)).toBe(true)
    await (await world.run()).text()
    expect(asks(world.sent[2]?.init)).toBe(false)
  })

  test("stops the turn when it happens again and again", async () => {
    const world = setup({ answers: Array.from({ length: 6 }, () => half), body: CONVERSATION })
    for (let i = 0; i < 5; i++) expect(await (await world.run()).text()).toBe(HALF)
    expect(await (await world.run()).text()).toContain('"finish_reason":"length"')
  })

  test("breaks for OpenCode too where it is no step: half a summary must not pass for one", async () => {
    const broken = byHand()
    broken.write(HALF)
    const answer = () => new Response(broken.stream, { headers: SSE })
    const world = setup({ answers: [answer], tagged: { agent: "compaction" } })
    const response = await world.run()
    broken.fail(new Error("reset"))
    expect(await response.text().catch(String)).toContain("reset")
  })
})

test("a model another plugin chose for a turn that is elsewhere is asked about like any other", async () => {
  const gamma = { provider: "gamma", model: "m1" }
  const { run, sessions, routes, editor } = setup({ tagged: { target: gamma } })
  sessions.at("ses_1").moved("msg_1", BETA, ALPHA)
  expect(await (await run()).text()).toBe(ANSWER)
  expect(routes).toMatchObject([{ target: gamma }])
  expect(editor.redirected).toEqual([])
})

test("a refusal says why in words OpenCode does not take for a passing failure", async () => {
  const { run, sent } = setup({ routes: [{ action: "refuse", reason }] })
  const response = await run()
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ error: { message: "final rate-limit-sidecar: too many requests" } })
  expect(sent).toEqual([])
})

test("a refusal names the time of the day where that is today, and what the provider said is in the log", async () => {
  const at = (seconds: number) => ({ action: "refuse" as const, reason, until: 1_000 + seconds })
  const soon = setup({ outcomes: [at(3_600)], answers: [limited] })
  const said = ((await (await soon.run()).json()) as { error: { message: string } }).error.message
  expect(said).toMatch(/^final rate-limit-sidecar: too many requests \(at \d\d:\d\d( [AP]M)?\)$/)
  expect(soon.editor.logs).toContain('alpha/m1 said: 429 {"error":{"message":"limited"}}')
  for (const seconds of [-1, 90_000]) {
    const { run } = setup({ routes: [at(seconds)] })
    expect(await (await run()).json()).toMatchObject({ error: { message: expect.not.stringContaining("(at") } })
  }
})

test("a provider others wait for is reported to answer with its first content, before its end", async () => {
  const upstream = byHand()
  const { run, reports } = setup({
    routes: [{ ...proceed, probe: true }],
    answers: [() => new Response(upstream.stream, { headers: SSE })],
  })
  upstream.write(WORD)
  const response = await run()
  expect(reports).toMatchObject([{ ended: "began", target: ALPHA, first_token_ms: 0 }])
  upstream.write(data("[DONE]"))
  upstream.close()
  await response.text()
  expect(reports).toMatchObject([{ ended: "began" }, { ended: "ok" }])
  expect(reports[0]?.attempt).toBe(reports[1]?.attempt ?? "")
})
