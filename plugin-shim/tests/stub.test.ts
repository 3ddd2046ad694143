import { createAnthropic } from "@ai-sdk/anthropic"
import { createGoogleGenerativeAI } from "@ai-sdk/google"
import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { APICallError, generateText, streamText, type LanguageModel } from "ai"
import { describe, expect, test } from "bun:test"
import type { Wire } from "../src/protocol.ts"
import { cutShort, emptyStep, refusal } from "../src/stub.ts"
import { recognise } from "../src/wire.ts"

/** The SDKs OpenCode 1.18.33 has built in, in its versions. */
const SDKS: [string, Wire, (fetch: typeof globalThis.fetch) => LanguageModel][] = [
  [
    "openai-compatible",
    "openai-chat",
    (fetch) => createOpenAICompatible({ name: "x", baseURL: "http://x.test/v1", fetch })("m"),
  ],
  ["openai chat", "openai-chat", (fetch) => createOpenAI({ apiKey: "k", fetch }).chat("m")],
  ["openai responses", "openai-responses", (fetch) => createOpenAI({ apiKey: "k", fetch })("m")],
  ["anthropic", "anthropic", (fetch) => createAnthropic({ apiKey: "k", fetch })("claude-sonnet-4-5")],
  ["google", "gemini", (fetch) => createGoogleGenerativeAI({ apiKey: "k", fetch })("gemini-3")],
]

const answering = (answer: (wire: Wire) => Response, seen: Wire[] = []) =>
  (async (input: string | URL | Request) => {
    const wire = recognise(String(input))
    seen.push(wire)
    return answer(wire)
  }) as typeof globalThis.fetch

/** OpenCode goes on after these; the SDK's "other" becomes its "unknown". */
const GOES_ON = ["tool-calls", "other"]

const event = (value: { type: string } & Record<string, unknown>) =>
  `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`
/** The first word of an answer, as far as a provider came. */
const BEGUN: Record<string, string> = {
  "openai-chat": `data: ${JSON.stringify({ id: "x", created: 0, model: "m", choices: [{ index: 0, delta: { role: "assistant", content: "half" } }] })}\n\n`,
  "openai-responses":
    event({ type: "response.created", response: { id: "r", created_at: 0, model: "m" } }) +
    event({ type: "response.output_item.added", output_index: 0, item: { type: "message", id: "msg_1" } }) +
    event({
      type: "response.output_text.delta",
      item_id: "msg_1",
      output_index: 0,
      content_index: 0,
      delta: "half",
      logprobs: [],
    }),
  anthropic:
    event({
      type: "message_start",
      message: {
        id: "m",
        type: "message",
        role: "assistant",
        model: "m",
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 1, output_tokens: 1 },
      },
    }) +
    event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }) +
    event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "half" } }),
  gemini: `data: ${JSON.stringify({ candidates: [{ index: 0, content: { role: "model", parts: [{ text: "half" }] } }] })}\n\n`,
}

describe.each(SDKS)("%s", (_, wire, model) => {
  test("reads the empty stream as a step without content after which the loop goes on", async () => {
    const seen: Wire[] = []
    const asked = model(answering((found) => emptyStep(found, true) ?? Response.error(), seen))
    const parts: { type: string; finishReason?: string }[] = []
    const errors: unknown[] = []
    const onError = ({ error }: { error: unknown }) => void errors.push(error)
    for await (const part of streamText({ model: asked, prompt: "hi", maxRetries: 0, onError }).fullStream)
      parts.push(part)
    expect(errors).toEqual([])
    expect(seen).toEqual([wire])
    const spoken = parts.filter((part) => /delta|tool|file|source/.test(part.type) && part.type !== "text-delta")
    expect(spoken).toEqual([])
    expect(parts.filter((part) => part.type === "text-delta" && (part as { text?: string }).text)).toEqual([])
    expect(GOES_ON).toContain(parts.find((part) => part.type === "finish")?.finishReason ?? "")
  })

  test("reads the empty object in the same way", async () => {
    const asked = model(answering((found) => emptyStep(found, false) ?? Response.error()))
    const result = await generateText({ model: asked, prompt: "hi", maxRetries: 0 })
    expect(result.text).toBe("")
    expect(result.toolCalls).toEqual([])
    expect(GOES_ON).toContain(result.finishReason)
  })

  test("reads the end of what broke off as an answer that is too long, with everything before it", async () => {
    const text = BEGUN[wire] + cutShort(wire)
    const asked = model(answering(() => new Response(text, { headers: { "content-type": "text/event-stream" } })))
    const errors: unknown[] = []
    const onError = ({ error }: { error: unknown }) => void errors.push(error)
    const result = streamText({ model: asked, prompt: "hi", maxRetries: 0, onError })
    expect(await result.text).toBe("half")
    expect(await result.finishReason).toBe("length")
    expect(errors).toEqual([])
  })

  test("gives the words of a refusal and does not try again", async () => {
    let calls = 0
    const asked = model(
      answering((found) => {
        calls++
        return refusal(found, "no target is free until noon")
      }),
    )
    const error = await generateText({ model: asked, prompt: "hi", maxRetries: 2 }).catch((caught: unknown) => caught)
    expect(APICallError.isInstance(error)).toBe(true)
    expect((error as APICallError).message).toContain("no target is free until noon")
    expect((error as APICallError).isRetryable).toBe(false)
    expect(calls).toBe(1)
  })
})

test("the empty step of chat completions holds no text, not even an empty one", async () => {
  const said = await emptyStep("openai-chat", true)?.text()
  expect(said).toContain('"delta":{"role":"assistant"}')
})

test("there is no empty step in a format nobody knows", () => {
  expect(emptyStep("unknown", true)).toBeUndefined()
  expect(emptyStep("unknown", false)).toBeUndefined()
  expect(cutShort("unknown")).toBe("")
})
