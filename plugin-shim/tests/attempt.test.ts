import { describe, expect, test } from "bun:test"
import { carrier, type Services } from "../src/attempt.ts"
import { Sessions, type Tagged } from "../src/context.ts"
import { Handovers } from "../src/handover.ts"
import type { Decision, Outcome, Route, Target } from "../src/protocol.ts"
import { byHand, chunk, data, FakeClock, FakeEditor, PROCEED, SSE } from "./fake.ts"

const URL = "https://alpha.test/v1/chat/completions"
const WORD = chunk({ content: "word" })
const ANSWER = WORD + data("[DONE]")
const ALPHA = { provider: "alpha", model: "m1" }
const BETA = { provider: "beta", model: "m1" }
const reason = { code: "rate_limit", text: "too many requests" }
const proceed = PROCEED as Decision
const switchTo = (target: Target, more: Partial<Decision> = {}): Decision => ({
  action: "switch",
  target,
  reason,
  ...more,
})
const wait = (wait_s: number): Decision => ({ action: "wait", wait_s, reason })
const limited = () => new Response('{"error":{"message":"limited"}}', { status: 429, headers: { "retry-after": "9" } })
const good = () => new Response(ANSWER, { headers: SSE })

interface Script {
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

function setup(script: Script) {
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

describe("titles and compactions", () => {
  const beta = {
    wire: "openai-chat" as const,
    baseURL: "https://beta.test/v1",
    key: "BETA-KEY",
    model: "small-1",
    headers: {},
  }
  const small = { provider: "beta", model: "small" }

  test.each(["title", "compaction"])(
    "a %s goes to the same wire elsewhere, asked for anew under its new target",
    async (agent) => {
      const { run, editor, routes, reports, sent } = setup({ tagged: { agent }, routes: [switchTo(small), proceed] })
      editor.accesses.set("beta/small", beta)
      expect(await (await run()).text()).toBe(ANSWER)
      expect(routes.map(({ mobility, target }) => [mobility, target])).toEqual([
        ["reroute", ALPHA],
        ["reroute", small],
      ])
      expect(sent.map(({ url }) => url)).toEqual(["https://beta.test/v1/chat/completions"])
      expect(JSON.stringify([...new Headers(sent[0]?.init.headers)])).not.toContain("Bearer KEY")
      expect(JSON.parse(String(sent[0]?.init.body))).toMatchObject({ model: "small-1" })
      expect(reports).toMatchObject([{ target: small, attempt: routes[1]?.attempt ?? "" }])
      expect(editor.redirected).toEqual([])
    },
  )

  test("also after a failure", async () => {
    const { run, editor, outcomes, sent } = setup({
      tagged: { agent: "title" },
      outcomes: [switchTo(small)],
      answers: [limited],
    })
    editor.accesses.set("beta/small", beta)
    expect(await (await run()).text()).toBe(ANSWER)
    expect(outcomes).toMatchObject([{ target: ALPHA, status: 429 }])
    expect(sent.length).toBe(2)
  })

  test("without a way there a title is refused and a compaction sent", async () => {
    const title = setup({ tagged: { agent: "title" }, routes: [switchTo(small)] })
    expect((await title.run()).status).toBe(400)
    expect(title.sent).toEqual([])
    const compaction = setup({ tagged: { agent: "compaction" }, routes: [switchTo(small)] })
    expect(await (await compaction.run()).text()).toBe(ANSWER)
  })

  test("do not eat the toast that waits for the step", async () => {
    const toast = { title: "Switched", message: "" }
    const { run, editor, sessions } = setup({ tagged: { agent: "title" } })
    sessions.at("ses_1").expect(ALPHA, toast)
    await run()
    expect(editor.toasts).toEqual([])
  })
})

describe("where turns may not be handed over", () => {
  const access = {
    wire: "openai-chat" as const,
    baseURL: "https://beta.test/v1",
    key: "BETA-KEY",
    model: "m1",
    headers: {},
  }
  const arrival = { title: "Switched", message: "" }

  test("a step goes to the same wire elsewhere, and nothing is stored or made up", async () => {
    const { run, editor, routes, reports } = setup({
      handover: false,
      outcomes: [{ ...switchTo(BETA), arrival }],
      answers: [limited],
    })
    editor.accesses.set("beta/m1", access)
    expect(await (await run()).text()).toBe(ANSWER)
    expect(routes.map(({ mobility, target }) => [mobility, target])).toEqual([
      ["same_wire", ALPHA],
      ["same_wire", BETA],
    ])
    expect(reports).toMatchObject([{ target: BETA, ended: "ok" }])
    expect(editor.toasts).toEqual([arrival])
    expect(editor.redirected).toEqual([])
  })

  test("a step that has no way there ends as it ended", async () => {
    const { run, editor } = setup({ handover: false, outcomes: [switchTo(BETA)], answers: [limited] })
    expect((await run()).status).toBe(429)
    expect(editor.redirected).toEqual([])
  })

  test("what the editor knows of itself counts until the daemon has spoken", async () => {
    const { run, editor, routes } = setup({})
    editor.tested = false
    await run()
    expect(routes).toMatchObject([{ mobility: "same_wire" }])
  })

  test("a handover that failed is made up for in the same way", async () => {
    const { run, editor, reports } = setup({ outcomes: [switchTo(BETA)], answers: [limited] })
    editor.redirecting = () => Promise.resolve(false)
    editor.accesses.set("beta/m1", access)
    expect(await (await run()).text()).toBe(ANSWER)
    expect(editor.redirected.length).toBe(1)
    expect(reports).toMatchObject([{ mobility: "same_wire", target: BETA, ended: "ok" }])
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

test("titles and compactions need what they hold themselves, not what the conversation does", async () => {
  const { run, routes, sessions } = setup({ tagged: { agent: "compaction" } })
  sessions.at("ses_1").tokens = 99_000
  await run()
  expect(routes[0]?.needs?.context).toBeLessThan(100)
})

test("a format nobody knows is sent or not, but never moved", async () => {
  const { run, routes } = setup({ url: "https://alpha.test/v9/converse", routes: [switchTo(BETA)] })
  expect(await (await run()).text()).toBe(ANSWER)
  expect(routes).toMatchObject([{ wire: "unknown", mobility: "fixed" }])
})
