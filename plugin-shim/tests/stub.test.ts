import { createAnthropic } from "@ai-sdk/anthropic"
import { createGoogleGenerativeAI } from "@ai-sdk/google"
import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { APICallError, generateText, streamText, type LanguageModel } from "ai"
import { describe, expect, test } from "bun:test"
import type { Wire } from "../src/protocol.ts"
import { emptyStep, refusal } from "../src/stub.ts"
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

test("there is no empty step in a format nobody knows", () => {
  expect(emptyStep("unknown", true)).toBeUndefined()
  expect(emptyStep("unknown", false)).toBeUndefined()
})
