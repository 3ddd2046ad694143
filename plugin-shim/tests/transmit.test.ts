import { describe, expect, test } from "bun:test"
import { gaveUp, reported, transmit, type Failure, type Result, type Transmission } from "../src/transmit.ts"
import { byHand, chunk, data, FakeClock, settle, SSE } from "./fake.ts"

const WORD = chunk({ content: "word" })
const URL = "https://alpha.test/v1/chat/completions"

function setup(change: Partial<Transmission> = {}, signal?: AbortSignal) {
  const clock = new FakeClock()
  const overs: Result[] = []
  const state = { answered: 0, sent: undefined as RequestInit | undefined }
  const t: Transmission = {
    clock,
    send: () => Promise.reject(new Error("nothing scripted")),
    request: { url: URL, init: { method: "POST", ...(signal && { signal }) }, body: "{}" },
    wire: "openai-chat",
    stream: true,
    patience: undefined,
    answered: () => state.answered++,
    over: (result) => overs.push(result),
    ...change,
  }
  return { t, clock, overs, state }
}

const answering = (body: ConstructorParameters<typeof Response>[0], init?: ResponseInit) => () =>
  Promise.resolve(new Response(body, init))
/** Fails like fetch when its signal is aborted. */
const hanging = (_: string, init: RequestInit) =>
  new Promise<Response>((_, reject) => init.signal?.addEventListener("abort", () => reject(init.signal?.reason)))
const failure = (sent: Response | Failure): Failure => {
  if (sent instanceof Response) throw new Error("that was a good answer")
  return sent
}

describe("a good answer", () => {
  test("is passed on and reported when it is over", async () => {
    const upstream = byHand()
    const { t, clock, overs, state } = setup({
      send: answering(upstream.stream, { headers: { ...SSE, "x-ratelimit-remaining": "3", "x-other": "1" } }),
    })
    const sending = transmit(t)
    await clock.advance(40)
    upstream.write(WORD)
    const response = (await sending) as Response
    expect(response.headers.get("x-other")).toBe("1")
    expect(state.answered).toBe(1)
    expect(overs).toEqual([])
    const text = response.text()
    await clock.advance(60)
    upstream.write(data("[DONE]"))
    upstream.close()
    expect(await text).toBe(WORD + data("[DONE]"))
    expect(overs).toEqual([
      { ended: "ok", status: 200, headers: { "x-ratelimit-remaining": "3" }, first_token_ms: 40, latency_ms: 100 },
    ])
  })

  test("that is no stream passes when none was asked for", async () => {
    const { t, overs } = setup({
      stream: false,
      send: answering('{"ok":true}', { headers: { "content-type": "application/json" } }),
    })
    expect(await ((await transmit(t)) as Response).json()).toEqual({ ok: true })
    expect(overs).toMatchObject([{ ended: "ok", status: 200 }])
  })

  test("may stream something other than events", async () => {
    const headers = { "content-type": "application/stream+json" }
    const { t, overs } = setup({ wire: "unknown", send: answering('{"a":1}', { headers }) })
    expect(await ((await transmit(t)) as Response).text()).toBe('{"a":1}')
    expect(overs).toMatchObject([{ ended: "ok" }])
  })

  test("without a body is over at once", async () => {
    const { t, overs } = setup({ send: answering(null, { status: 204 }) })
    expect(((await transmit(t)) as Response).status).toBe(204)
    expect(overs).toMatchObject([{ ended: "ok", status: 204 }])
  })

  test("that breaks later is reported as one that had begun", async () => {
    const upstream = byHand()
    const { t, overs } = setup({ send: answering(upstream.stream, { headers: SSE }) })
    upstream.write(WORD)
    const response = (await transmit(t)) as Response
    upstream.fail(Object.assign(new Error("reset"), { code: "ECONNRESET" }))
    expect(await response.text().catch(String)).toContain("reset")
    expect(overs).toMatchObject([{ ended: "failed", content_sent: true, error: "ECONNRESET Error reset" }])
  })
})

describe("a bad answer", () => {
  test("is reported with status, headers of limits and body, and can be delivered untouched", async () => {
    const body = '{"error":{"message":"limited"}}'
    const headers = { "retry-after": "7", "x-secret": "1" }
    const { t, overs } = setup({ send: answering(body, { status: 429, statusText: "Slow down", headers }) })
    const { result, deliver } = failure(await transmit(t))
    expect(result).toMatchObject({ ended: "failed", status: 429, body, headers: { "retry-after": "7" } })
    expect(result.headers).not.toHaveProperty("x-secret")
    const response = deliver()
    expect([response.status, response.statusText, response.headers.get("x-secret"), await response.text()]).toEqual([
      429,
      "Slow down",
      "1",
      body,
    ])
    expect(overs).toEqual([])
  })

  test("may be endless: only its beginning is read, and not forever", async () => {
    const upstream = byHand()
    const { t, clock } = setup({ send: answering(upstream.stream, { status: 500 }) })
    upstream.write("x".repeat(70_000))
    upstream.write("y")
    expect(failure(await transmit(t)).result.body).toBe("x".repeat(65_536))
    const slow = byHand()
    const second = setup({ send: answering(slow.stream, { status: 500 }) })
    slow.write("half")
    const sending = transmit(second.t)
    await second.clock.advance(5_000)
    expect(failure(await sending).result.body).toBe("half")
    expect(clock.pending).toBe(0)
  })

  test("can be an error inside a success", async () => {
    const upstream = byHand()
    const { t } = setup({ send: answering(upstream.stream, { headers: SSE }) })
    upstream.write(data({ error: { code: 429 } }))
    upstream.close()
    const { result, deliver } = failure(await transmit(t))
    expect(result).toMatchObject({ ended: "failed", status: 200, body: '{"error":{"code":429}}' })
    expect(await deliver().text()).toBe(data({ error: { code: 429 } }))
  })

  test("can be a success without content", async () => {
    const { t, overs } = setup({ send: answering(data("[DONE]"), { headers: SSE }) })
    const { result, deliver } = failure(await transmit(t))
    expect(result).toMatchObject({ ended: "empty", status: 200 })
    expect(await deliver().text()).toBe(data("[DONE]"))
    expect(overs).toEqual([])
  })

  test("can be an object where a stream was asked for", async () => {
    const body = '{"base_resp":{"status_code":2056}}'
    const { t } = setup({ send: answering(body, { headers: { "content-type": "application/json" } }) })
    const { result, deliver } = failure(await transmit(t))
    expect(result).toMatchObject({ ended: "failed", status: 200, body })
    expect(await deliver().text()).toBe(body)
  })

  test("can be none: the error is reported without addresses and thrown again", async () => {
    const error = Object.assign(new Error("cannot reach https://x.test/v1?key=SECRET now"), {
      code: "ConnectionRefused",
    })
    const { t } = setup({ send: () => Promise.reject(error) })
    const { result, deliver } = failure(await transmit(t))
    expect(result.error).toBe("ConnectionRefused Error cannot reach https://x.test/v1 now")
    expect(result.status).toBeUndefined()
    expect(deliver).toThrow(error)
  })

  test("can come too late: the first byte of a stream has its time", async () => {
    const { t, clock } = setup({ send: hanging, patience: 1_000 })
    const sending = transmit(t)
    await clock.advance(1_000)
    const { result, deliver } = failure(await sending)
    expect(result).toMatchObject({ ended: "failed", error: "first_token_timeout", latency_ms: 1_000 })
    expect(deliver).toThrow("no first byte in time")
  })

  test("is not one that began in time and then took long", async () => {
    const upstream = byHand()
    let signal: AbortSignal | null | undefined
    const send = (_: string, init: RequestInit) => {
      signal = init.signal
      return Promise.resolve(new Response(upstream.stream, { headers: SSE }))
    }
    const { t, clock } = setup({ send, patience: 1_000 })
    const sending = transmit(t)
    upstream.write(": working on it\n\n")
    await clock.advance(60_000)
    upstream.write(WORD)
    expect(await sending).toBeInstanceOf(Response)
    expect(signal?.aborted).toBe(false)
  })

  test("can be dropped", async () => {
    const upstream = byHand()
    let signal: AbortSignal | null | undefined
    const { t } = setup({
      send: (_, init) => {
        signal = init.signal
        return Promise.resolve(new Response(upstream.stream, { headers: SSE }))
      },
    })
    upstream.write(data({ error: 1 }))
    failure(await transmit(t)).discard()
    expect(signal?.aborted).toBe(true)
  })
})

describe("a caller who gives up", () => {
  test("before the answer gets its own error back, and it is reported as theirs", async () => {
    const caller = new AbortController()
    const { t, overs } = setup({ send: hanging }, caller.signal)
    const sending = transmit(t)
    await settle()
    caller.abort()
    expect(await sending.catch((error: unknown) => (error as Error).name)).toBe("AbortError")
    expect(overs).toMatchObject([{ ended: "aborted" }])
  })

  test("while an error is being read is no failure of the provider", async () => {
    const caller = new AbortController()
    const upstream = byHand()
    const { t, overs, clock } = setup({ send: answering(upstream.stream, { status: 429 }) }, caller.signal)
    const sending = transmit(t).catch((error: unknown) => (error as Error).name)
    await settle()
    caller.abort()
    await clock.advance(5_000)
    expect(await sending).toBe("AbortError")
    expect(overs).toMatchObject([{ ended: "aborted" }])
  })

  test("in the middle of an answer is reported as such", async () => {
    const caller = new AbortController()
    const upstream = byHand()
    const { t, overs } = setup({ send: answering(upstream.stream, { headers: SSE }) }, caller.signal)
    upstream.write(WORD)
    const response = (await transmit(t)) as Response
    caller.abort()
    upstream.fail(caller.signal.reason)
    await response.text().catch(() => undefined)
    expect(overs).toMatchObject([{ ended: "aborted" }])
    expect(overs[0]?.content_sent).toBeUndefined()
  })

  test("is not OpenCode's own time limit", async () => {
    const caller = new AbortController()
    const { t } = setup({ send: hanging }, caller.signal)
    const sending = transmit(t)
    caller.abort(new DOMException("The operation timed out.", "TimeoutError"))
    expect(failure(await sending).result.error).toBe("timeout")
    expect(gaveUp(caller.signal)).toBe(false)
  })
})

test("only headers that speak of limits are reported", () => {
  const headers = new Headers({
    "Retry-After": "1",
    "retry-after-ms": "1000",
    "x-should-retry": "true",
    date: "Thu, 01 Jan 1970 00:00:00 GMT",
    "anthropic-ratelimit-tokens-remaining": "5",
    "X-RateLimit-Reset": "9",
    "set-cookie": "session=SECRET",
    authorization: "SECRET",
    "x-request-id": "r",
  })
  expect(Object.keys(reported(headers)).sort()).toEqual([
    "anthropic-ratelimit-tokens-remaining",
    "date",
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-reset",
    "x-should-retry",
  ])
})
