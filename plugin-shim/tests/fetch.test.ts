import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { TAG, Wrapping, type Carrier } from "../src/fetch.ts"
import { FakeClock } from "./fake.ts"

const REAL = globalThis.fetch
const URL = "https://alpha.test/v1/chat/completions"
let seen: { input: unknown; init: RequestInit | undefined }[]
let base: typeof fetch

beforeEach(() => {
  seen = []
  base = Object.assign(
    async (input: unknown, init?: RequestInit) => {
      seen.push({ input, init })
      return new Response("from below")
    },
    { preconnect: () => undefined },
  ) as typeof fetch
  globalThis.fetch = base
})
afterEach(() => {
  globalThis.fetch = REAL
})

const carrying =
  (calls: string[] = []): Carrier =>
  async (request, send) => {
    calls.push(request.body)
    return send(request.url, request.init)
  }

const without = (call: () => Promise<Response>) => Object.assign(call, { preconnect: () => undefined }) as typeof fetch
const refusing = without(() => Promise.reject(new Error("no")))
const silent = without(() => new Promise<never>(() => undefined))

test("an untagged request is not touched at all", async () => {
  const wrapping = new Wrapping("/a")
  const init = { method: "POST", headers: { authorization: "k" }, body: "{}" }
  await fetch(URL, init)
  expect(seen[0]?.input).toBe(URL)
  expect(seen[0]?.init).toBe(init)
  const request = new Request(URL)
  await fetch(request)
  expect(seen[1]?.input).toBe(request)
  wrapping.remove()
})

describe("the tag", () => {
  const forms: [string, (tag: string) => RequestInit["headers"]][] = [
    ["an object", (tag) => ({ Authorization: "k", [TAG]: tag })],
    ["an object in capitals", (tag) => ({ Authorization: "k", [TAG.toUpperCase()]: tag })],
    [
      "pairs",
      (tag) => [
        ["Authorization", "k"],
        [TAG, tag],
      ],
    ],
    ["Headers", (tag) => new Headers({ Authorization: "k", [TAG]: tag })],
  ]
  test.each(forms)("is found in %s, and taken off", async (_, headers) => {
    const wrapping = new Wrapping("/a")
    const calls: string[] = []
    const tag = wrapping.tag(carrying(calls), 0)
    const answer = await fetch(URL, { method: "POST", headers: headers(tag) ?? {}, body: '{"a":1}' })
    expect(await answer.text()).toBe("from below")
    expect(calls).toEqual(['{"a":1}'])
    const sent = new Headers(seen[0]?.init?.headers)
    expect(sent.get(TAG)).toBeNull()
    expect(sent.get("authorization")).toBe("k")
    expect(seen[0]?.init?.body).toBe('{"a":1}')
    wrapping.remove()
  })

  test("is found on a Request, with its body and signal", async () => {
    const wrapping = new Wrapping("/a")
    const calls: string[] = []
    const stop = new AbortController()
    const headers = { [TAG]: wrapping.tag(carrying(calls), 0) }
    await fetch(new Request(URL, { method: "POST", headers, body: "text", signal: stop.signal }))
    expect(calls).toEqual(["text"])
    stop.abort()
    expect(seen[0]?.init?.signal?.aborted).toBe(true)
    wrapping.remove()
  })

  test("is taken off even when nobody knows it, or the body is no text", async () => {
    const wrapping = new Wrapping("/a")
    const calls: string[] = []
    await fetch(URL, { method: "POST", headers: { [TAG]: "stranger" }, body: "{}" })
    await fetch(URL, { method: "POST", headers: { [TAG]: wrapping.tag(carrying(calls), 0) }, body: new FormData() })
    expect(calls).toEqual([])
    expect(seen.map(({ init }) => new Headers(init?.headers).has(TAG))).toEqual([false, false])
    wrapping.remove()
  })

  test("serves again for a retry, but not forever, and there are never too many", async () => {
    const wrapping = new Wrapping("/a")
    const calls: string[] = []
    const use = (tag: string) => fetch(URL, { method: "POST", headers: { [TAG]: tag }, body: tag })
    const first = wrapping.tag(carrying(calls), 0)
    await use(first)
    await use(first)
    expect(calls).toEqual([first, first])
    const late = wrapping.tag(carrying(calls), 3_600_000)
    await use(first)
    expect(calls.length).toBe(2)
    for (let i = 0; i < 1_000; i++) wrapping.tag(carrying(calls), 3_600_000)
    await use(late)
    expect(calls.length).toBe(2)
    wrapping.remove()
  })
})

describe("the wrapper", () => {
  test("is there once, however often it is asked for", () => {
    const first = new Wrapping("/a")
    const wrapper = globalThis.fetch
    expect(wrapper).not.toBe(base)
    const second = new Wrapping("/b")
    expect(globalThis.fetch).toBe(wrapper)
    first.remove()
    first.remove()
    expect(globalThis.fetch).toBe(wrapper)
    second.remove()
    expect(globalThis.fetch).toBe(base)
  })

  test("keeps what hangs on fetch", () => {
    const wrapping = new Wrapping("/a")
    expect(globalThis.fetch.preconnect).toBe(base.preconnect)
    wrapping.remove()
  })

  test("is not taken off from under somebody who wrapped it, and passes on", async () => {
    const wrapping = new Wrapping("/a")
    const ours = globalThis.fetch
    const theirs = Object.assign((...args: Parameters<typeof fetch>) => ours(...args), {
      preconnect: ours.preconnect,
    }) as typeof fetch
    globalThis.fetch = theirs
    wrapping.remove()
    expect(globalThis.fetch).toBe(theirs)
    expect(await (await fetch(URL)).text()).toBe("from below")
  })

  test("works again after it was taken off", async () => {
    new Wrapping("/a").remove()
    const again = new Wrapping("/a")
    const calls: string[] = []
    await fetch(URL, { method: "POST", headers: { [TAG]: again.tag(carrying(calls), 0) }, body: "x" })
    expect(calls).toEqual(["x"])
    again.remove()
  })

  test("stays where another one over it passes everything on", async () => {
    const wrapping = new Wrapping("/a")
    const ours = globalThis.fetch
    let calls = 0
    const theirs = Object.assign((...args: Parameters<typeof fetch>) => (calls++, ours(...args)), {
      preconnect: ours.preconnect,
    }) as typeof fetch
    globalThis.fetch = theirs
    await wrapping.hold(new FakeClock())
    await wrapping.hold(new FakeClock())
    expect(globalThis.fetch).toBe(theirs)
    expect([calls, seen.length]).toEqual([1, 0])
    globalThis.fetch = ours
    wrapping.remove()
  })

  test.each([
    ["what another plugin had found before it was put back", () => base],
    ["another one does not let through", () => refusing],
    ["another one never answers", () => silent],
  ])("is put on again where %s", async (_, other) => {
    const wrapping = new Wrapping("/a")
    const taken = (globalThis.fetch = other())
    const clock = new FakeClock()
    const holding = wrapping.hold(clock)
    await clock.advance(250)
    await holding
    expect(globalThis.fetch).not.toBe(taken)
    const calls: string[] = []
    globalThis.fetch = Object.assign(globalThis.fetch, { preconnect: base.preconnect })
    await fetch(URL, {
      method: "POST",
      headers: {
        [TAG]: wrapping.tag(async (request) => {
          calls.push(request.body)
          return new Response("")
        }, 0),
      },
      body: "x",
    })
    expect(calls).toEqual(["x"])
    wrapping.remove()
    expect(globalThis.fetch).toBe(taken)
  })

  test("that was kept by another plugin serves for as long as the process lives", async () => {
    const first = new Wrapping("/a")
    const kept = globalThis.fetch
    first.remove()
    const again = new Wrapping("/a")
    const calls: string[] = []
    await kept(URL, { method: "POST", headers: { [TAG]: again.tag(carrying(calls), 0) }, body: "x" })
    expect(calls).toEqual(["x"])
    again.remove()
  })

  test("a request that was tagged and has not come is missed", async () => {
    const wrapping = new Wrapping("/a")
    const tag = wrapping.tag(carrying(), 0)
    expect([wrapping.missed(tag), wrapping.missed("unknown")]).toEqual([true, false])
    await fetch(URL, { method: "POST", headers: { [TAG]: tag }, body: "x" })
    expect(wrapping.missed(tag)).toBe(false)
    wrapping.remove()
  })

  test("a directory is served by the copy loaded last", () => {
    const first = new Wrapping("/a")
    const other = new Wrapping("/b")
    expect(first.current).toBe(true)
    const second = new Wrapping("/a")
    expect([first.current, second.current, other.current]).toEqual([false, true, true])
    first.remove()
    expect(second.current).toBe(true)
    second.remove()
    expect(second.current).toBe(false)
    other.remove()
  })
})
