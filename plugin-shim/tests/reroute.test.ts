import { describe, expect, test } from "bun:test"
import type { Access } from "../src/editor.ts"
import { continued, rerouted, type Outgoing } from "../src/reroute.ts"
import type { Wire } from "../src/protocol.ts"

const SECRETS = ["SOURCE-KEY", "SOURCE-ACCOUNT", "SOURCE-COOKIE"]
const request = (url: string, body: object = { model: "old", stream: true, messages: [] }): Outgoing => ({
  url,
  init: {
    method: "POST",
    headers: {
      Authorization: "Bearer SOURCE-KEY",
      "x-api-key": "SOURCE-KEY",
      "x-goog-api-key": "SOURCE-KEY",
      "api-key": "SOURCE-KEY",
      "ChatGPT-Account-Id": "SOURCE-ACCOUNT",
      cookie: "SOURCE-COOKIE",
      "content-type": "application/json",
      "anthropic-version": "2023-06-01",
      "anthropic-beta": "SOURCE-ACCOUNT",
    },
    body: JSON.stringify(body),
  },
  body: JSON.stringify(body),
})
const access = (wire: Wire, change: Partial<Access> = {}): Access => ({
  wire,
  baseURL: "https://beta.test/base/v1/",
  key: "TARGET-KEY",
  model: "new-model",
  headers: { "x-extra": "1" },
  ...change,
})

describe("a request for another provider", () => {
  const table: [Wire, string, string, string][] = [
    [
      "openai-chat",
      "https://a.test/v1/chat/completions?key=SOURCE-KEY",
      "https://beta.test/base/v1/chat/completions",
      "authorization",
    ],
    ["openai-responses", "https://a.test/v1/responses", "https://beta.test/base/v1/responses", "authorization"],
    ["anthropic", "https://a.test/v1/messages?beta=true", "https://beta.test/base/v1/messages", "x-api-key"],
    [
      "gemini",
      "https://a.test/v1beta/models/old:streamGenerateContent?alt=sse&key=SOURCE-KEY",
      "https://beta.test/base/v1/models/new-model:streamGenerateContent?alt=sse",
      "x-goog-api-key",
    ],
  ]
  test.each(table)("%s", (wire, from, to, keyHeader) => {
    const made = rerouted(request(from), wire, access(wire))
    expect(made?.url).toBe(to)
    const headers = new Headers(made?.init.headers)
    expect(headers.get(keyHeader)).toContain("TARGET-KEY")
    expect(headers.get("x-extra")).toBe("1")
    expect(headers.get("content-type")).toBe("application/json")
    const body = JSON.parse(made?.body ?? "") as Record<string, unknown>
    expect(body["model"]).toBe(wire === "gemini" ? "old" : "new-model")
    expect(made?.init.body).toBe(made?.body ?? "")
    const everything = JSON.stringify([made?.url, [...headers], made?.body])
    for (const secret of SECRETS) expect(everything).not.toContain(secret)
  })

  test("keeps the caller's signal", () => {
    const stop = new AbortController()
    const from = request("https://a.test/v1/messages")
    from.init.signal = stop.signal
    expect(rerouted(from, "anthropic", access("anthropic"))?.init.signal).toBe(stop.signal)
  })

  test("is not made when something is missing or does not fit", () => {
    const from = request("https://a.test/v1/chat/completions")
    expect(rerouted(from, "openai-chat", undefined)).toBeUndefined()
    expect(rerouted(from, "openai-chat", access("anthropic"))).toBeUndefined()
    expect(rerouted({ ...from, body: "no json" }, "openai-chat", access("openai-chat"))).toBeUndefined()
    expect(rerouted({ ...from, url: "https://a.test/other" }, "openai-chat", access("openai-chat"))).toBeUndefined()
    expect(rerouted(from, "unknown", access("unknown"))).toBeUndefined()
    expect(rerouted(from, "openai-chat", access("openai-chat", { headers: { "no header": "x" } }))).toBeUndefined()
  })
})

describe("the rest of an answer that broke off", () => {
  const table: [Wire, string, object, (last: object) => void][] = [
    [
      "openai-chat",
      "messages",
      { role: "assistant", content: "half" },
      (last) => expect(last).toMatchObject({ role: "user", content: expect.stringContaining("broke off") }),
    ],
    [
      "anthropic",
      "messages",
      { role: "assistant", content: [{ type: "text", text: "half" }] },
      (last) => expect(last).toMatchObject({ role: "user", content: [{ type: "text", text: expect.stringContaining("broke off") }] }),
    ],
    [
      "openai-responses",
      "input",
      { role: "assistant", content: [{ type: "output_text", text: "half" }] },
      (last) => expect(last).toMatchObject({ role: "user", content: [{ type: "input_text", text: expect.stringContaining("broke off") }] }),
    ],
    [
      "gemini",
      "contents",
      { role: "model", parts: [{ text: "half" }] },
      (last) => expect(last).toMatchObject({ role: "user", parts: [{ text: expect.stringContaining("broke off") }] }),
    ],
  ]
  test.each(table)("%s: is asked for where the beginning is the last word", (wire, at, half, check) => {
    const before = { model: "m", [at]: [{ role: "user" }, half] }
    const made = continued(request("https://a.test/", before), wire)
    expect(made.init.body).toBe(made.body)
    const body = JSON.parse(made.body) as Record<string, object[]>
    expect(body[at]?.slice(0, 2)).toEqual(before[at] as object[])
    expect(body[at]?.length).toBe(3)
    check(body[at]?.[2] ?? {})
  })

  test.each(table)("%s: is not asked for after anything else", (wire, at) => {
    const result = { role: wire === "openai-chat" ? "tool" : "user" }
    for (const last of [[{ role: "user" }], [result], []]) {
      const before = request("https://a.test/", { [at]: last })
      expect(continued(before, wire)).toBe(before)
    }
  })

  test("is not asked for with calls that have no result, in no known format, or in what is no conversation", () => {
    const call = request("https://a.test/", { messages: [{ role: "assistant", tool_calls: [{}] }] })
    expect(continued(call, "openai-chat")).toBe(call)
    const half = request("https://a.test/", { messages: [{ role: "assistant" }] })
    expect(continued(half, "unknown")).toBe(half)
    expect(continued(half, "gemini")).toBe(half)
  })
})
