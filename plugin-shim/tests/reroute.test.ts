import { describe, expect, test } from "bun:test"
import type { Access } from "../src/editor.ts"
import { rerouted, type Outgoing } from "../src/reroute.ts"
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
