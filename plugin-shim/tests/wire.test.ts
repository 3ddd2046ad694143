import { describe, expect, test } from "bun:test"
import type { Wire } from "../src/protocol.ts"
import { meaning, read, recognise, says, wireOf, type Meaning } from "../src/wire.ts"

describe("recognise", () => {
  const table: [string, Wire][] = [
    ["https://api.groq.com/openai/v1/chat/completions", "openai-chat"],
    ["https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1", "openai-chat"],
    ["https://api.openai.com/v1/responses", "openai-responses"],
    ["https://chatgpt.com/backend-api/codex/responses", "openai-responses"],
    ["https://api.anthropic.com/v1/messages", "anthropic"],
    ["https://api.anthropic.com/v1/messages?beta=true", "anthropic"],
    [
      "https://r-aiplatform.googleapis.com/v1/projects/p/locations/r/publishers/anthropic/models/c:streamRawPredict",
      "anthropic",
    ],
    ["https://generativelanguage.googleapis.com/v1beta/models/gemini-3:streamGenerateContent?alt=sse", "gemini"],
    ["https://generativelanguage.googleapis.com/v1beta/models/gemini-3:generateContent", "gemini"],
    ["https://cloudcode-pa.googleapis.com/v1internal:streamGenerateContent?alt=sse", "gemini"],
    ["https://cloudcode-pa.googleapis.com/v1internal:loadCodeAssist", "unknown"],
    [
      "https://r-aiplatform.googleapis.com/v1/projects/p/locations/r/publishers/mistralai/models/c:streamRawPredict",
      "unknown",
    ],
    ["https://api.anthropic.com/v1/messages/count_tokens", "unknown"],
    ["https://api.openai.com/v1/embeddings", "unknown"],
    ["https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse-stream", "unknown"],
    ["no address", "unknown"],
  ]
  test.each(table)("%s is %s", (url, wire) => expect(recognise(url)).toBe(wire))
})

test("packages speak their wire, strangers none we know", () => {
  expect(wireOf("@ai-sdk/anthropic")).toBe("anthropic")
  expect(wireOf("@ai-sdk/openai")).toBe("openai-responses")
  expect(wireOf("@ai-sdk/openai-compatible")).toBe("openai-chat")
  expect(wireOf("@ai-sdk/google")).toBe("gemini")
  expect(wireOf("@ai-sdk/amazon-bedrock")).toBe("unknown")
})

describe("read", () => {
  const url = "https://x/v1/chat/completions"

  test("finds stream and tools", () => {
    const asked = read(url, JSON.stringify({ stream: true, tools: [{}] }), 0)
    expect(asked.stream).toBe(true)
    expect(asked.needs.tools).toBe(true)
    expect(read(url, JSON.stringify({ stream: false, tools: [] }), 0)).toMatchObject({
      stream: false,
      needs: { tools: false },
    })
  })

  test.each([
    ['{"messages":[],"stream":true,"stream_options":{"include_usage":true}}', true],
    ['{"stream":true,"messages":[]}', true],
    ['{"messages":[{"content":[{"type":"tool_use","input":{"stream":true}}]}]}', false],
    [JSON.stringify({ messages: ['{"stream":true}'] }), false],
    [JSON.stringify({ prompt: '"stream":true}' }), false],
  ])("whether a stream is asked for: %s", (body, stream) => expect(read(url, body, 0).stream).toBe(stream))

  test("takes nothing that was said about tools for tools", () => {
    const said = JSON.stringify({ messages: [{ content: '{"tools":[{"name":"x"}], "image_url": "y"}' }] })
    expect(read(url, said, 1).needs).toEqual({ context: 1, tools: false, images: false })
  })

  test("a login plugin's wrapper holds the tools", () => {
    expect(read(url, '{"project":"p","request":{"tools":[{}]}}', 0).needs.tools).toBe(true)
    expect(read(url, '{"project":"p","request":{}}', 0).needs.tools).toBe(false)
  })

  test("gemini says stream in its address", () => {
    expect(read("https://x/v1beta/models/g:streamGenerateContent?alt=sse", "{}", 0).stream).toBe(true)
    expect(read("https://x/v1beta/models/g:generateContent", "{}", 0).stream).toBe(false)
  })

  test.each(['{"type":"image_url"}', '{"type":"input_image"}', '{"type": "image"}', '{"inlineData":{}}'])(
    "sees a picture in %s",
    (body) => {
      expect(read(url, body, 0).needs.images).toBe(true)
    },
  )

  test("takes the known count of tokens, else guesses by the length, but not from pictures", () => {
    const long = JSON.stringify({ messages: "x".repeat(4_000) })
    expect(read(url, long, 77).needs.context).toBe(77)
    expect(read(url, long, 0).needs.context).toBeGreaterThan(1_000)
    expect(read(url, `{"image_url":"${"x".repeat(4_000)}"}`, 0).needs.context).toBe(0)
  })

  test("is not upset by anything", () => {
    expect(read("", "[1", 0)).toEqual({ stream: false, needs: { context: 0, tools: false, images: false } })
  })
})

describe("meaning", () => {
  const delta = (value: object, finish: unknown = null) => ({
    choices: [{ index: 0, delta: value, finish_reason: finish }],
  })
  const item = (type: string, kind: string) => ({ type, item: { type: kind } })
  const parts = (value: object[], finishReason?: string) => ({
    candidates: [{ content: { parts: value }, finishReason }],
  })
  const table: [Wire, string | object, Meaning][] = [
    ["openai-chat", "[DONE]", "nothing"],
    ["openai-chat", "", "nothing"],
    ["openai-chat", "not json", "content"],
    ["openai-chat", { error: { message: "limited" } }, "error"],
    ["openai-chat", { error: null, ...delta({ content: "x" }) }, "content"],
    ["openai-chat", { base_resp: { status_code: 1002 } }, "error"],
    ["openai-chat", { base_resp: { status_code: 0 } }, "content"],
    ["openai-chat", { something: "new" }, "content"],
    ["openai-chat", delta({ role: "assistant", content: "" }), "nothing"],
    ["openai-chat", delta({ content: "x" }), "content"],
    ["openai-chat", delta({ reasoning_content: "x" }), "content"],
    ["openai-chat", delta({ tool_calls: [{}] }), "content"],
    ["openai-chat", delta({ tool_calls: [] }), "nothing"],
    ["openai-chat", delta({}, "stop"), "nothing"],
    ["openai-chat", delta({}, "content_filter"), "content"],
    ["openai-chat", { choices: [], usage: {} }, "nothing"],
    ["openai-responses", { type: "error", code: "rate_limit_exceeded" }, "error"],
    ["openai-responses", { type: "response.failed", response: {} }, "error"],
    ["openai-responses", { type: "response.created" }, "nothing"],
    ["openai-responses", { type: "response.completed", response: {} }, "nothing"],
    [
      "openai-responses",
      { type: "response.incomplete", response: { incomplete_details: { reason: "content_filter" } } },
      "content",
    ],
    ["openai-responses", item("response.output_item.added", "message"), "nothing"],
    ["openai-responses", item("response.output_item.added", "function_call"), "content"],
    ["openai-responses", { type: "response.output_text.delta", delta: "x" }, "content"],
    ["anthropic", { type: "error", error: { type: "overloaded_error" } }, "error"],
    ["anthropic", { type: "message_start" }, "nothing"],
    ["anthropic", { type: "ping" }, "nothing"],
    ["anthropic", { type: "content_block_start", content_block: { type: "text", text: "" } }, "nothing"],
    ["anthropic", { type: "content_block_start", content_block: { type: "tool_use" } }, "content"],
    ["anthropic", { type: "content_block_delta", delta: { text: "x" } }, "content"],
    ["anthropic", { type: "message_delta", delta: { stop_reason: "end_turn" } }, "nothing"],
    ["anthropic", { type: "message_delta", delta: { stop_reason: "refusal" } }, "content"],
    ["gemini", { error: { code: 429 } }, "error"],
    ["gemini", { response: parts([{ text: "x" }]) }, "content"],
    ["gemini", { response: parts([{ text: "" }], "STOP") }, "nothing"],
    ["gemini", parts([{ text: "x" }]), "content"],
    ["gemini", parts([{ functionCall: { name: "f" } }]), "content"],
    ["gemini", parts([{ text: "", thought: true }], "STOP"), "nothing"],
    ["gemini", parts([], "SAFETY"), "content"],
    ["gemini", { promptFeedback: { blockReason: "SAFETY" } }, "content"],
    ["gemini", { usageMetadata: {} }, "nothing"],
    ["gemini", { something: "new" }, "content"],
    ["unknown", { anything: 1 }, "content"],
  ]
  test.each(table)("%s %j is %s", (wire, event, expected) => {
    expect(meaning(wire, typeof event === "string" ? event : JSON.stringify(event))).toBe(expected)
  })
})

describe("says", () => {
  const ends: [Wire, string, boolean][] = [
    ["openai-chat", 'data: {"choices":[{"delta":{},"finish_reason": "stop"}]}', true],
    ["openai-chat", 'data: {"choices":[{"delta":{},"finish_reason":null}]}', false],
    ["openai-chat", 'data: {"choices":[{"delta":{"content":"\\"finish_reason\\":\\"stop\\""}}]}', false],
    ["openai-chat", "data: {}\n\ndata: [DONE]\n\n", true],
    ["openai-chat", 'data: {"content":"data: [DONE]"}', false],
    ["anthropic", 'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}', true],
    ["anthropic", 'data: {"type":"message_start","message":{"stop_reason":null}}', false],
    ["anthropic", 'data: {"type":"message_stop"}', true],
    ["openai-responses", 'data: {"type":"response.incomplete"}', true],
    ["openai-responses", 'data: {"type":"response.output_text.done"}', false],
    ["gemini", 'data: {"candidates":[{"finishReason":"STOP"}]}', true],
    ["gemini", 'data: {"candidates":[{"content":{}}]}', false],
    ["gemini", 'data: {"promptFeedback":{"blockReason":"SAFETY"}}', true],
    ["unknown", "", true],
  ]
  test.each(ends)("%s ends with %s: %p", (wire, text, is) => expect(says(wire, "end", text)).toBe(is))

  test("an error wherever one may stand, and not where somebody talks about one", () => {
    expect(says("openai-chat", "error", 'data: {"error":{"message":"x"}}')).toBe(true)
    expect(says("anthropic", "error", 'data: {"type":"error"}')).toBe(true)
    expect(says("openai-responses", "error", 'data: {"type":"response.failed"}')).toBe(true)
    expect(says("openai-chat", "error", 'data: {"choices":[{"delta":{"content":"an \\"error\\""}}]}')).toBe(false)
  })
})
