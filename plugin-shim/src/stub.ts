/**
 * Answers of our own: the empty step that makes OpenCode go on, the end of one that broke off, the refusal.
 *
 * Only what the AI SDKs inside OpenCode accept, found by trial on them; every field is there because one of them asks
 * for it. No policy, no I/O.
 */

import type { Wire } from "./protocol.ts"

const MODEL = "rate-limit-sidecar"
const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`
const named = (event: { type: string } & Record<string, unknown>): string => `event: ${event.type}\n${data(event)}`

/**
 * Gives a successful answer without content, after which OpenCode's loop takes its next step.
 *
 * It does so after the finish reasons `tool-calls` and `unknown`, so each format ends with what its SDK reads as one of
 * the two. Undefined for a format we do not know.
 */
export function emptyStep(wire: Wire, stream: boolean): Response | undefined {
  const made = stream ? STREAMS[wire]?.() : BODIES[wire]?.()
  if (made === undefined) return undefined
  const type = stream ? "text/event-stream" : "application/json"
  return new Response(typeof made === "string" ? made : JSON.stringify(made), { headers: { "content-type": type } })
}

const chat = (object: string, choice: object, finish_reason = "tool_calls") => ({
  id: MODEL,
  object,
  created: 0,
  model: MODEL,
  choices: [{ index: 0, ...choice, finish_reason }],
  usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
})
const message = (stop_reason: string | null) => ({
  id: MODEL,
  type: "message",
  role: "assistant",
  model: MODEL,
  content: [],
  stop_reason,
  stop_sequence: null,
  usage: { input_tokens: 0, output_tokens: 0 },
})
const response = (status: string, reason = "moved") => ({
  id: MODEL,
  object: "response",
  created_at: 0,
  model: MODEL,
  status,
  output: [],
  // A reason the SDK has no name for becomes "unknown".
  incomplete_details: status === "incomplete" ? { reason } : null,
  usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 },
})
const gemini = (finishReason = "OTHER") => ({
  candidates: [{ index: 0, content: { role: "model", parts: [] }, finishReason }],
  usageMetadata: { promptTokenCount: 0, candidatesTokenCount: 0, totalTokenCount: 0 },
  modelVersion: MODEL,
})

const ending = (stop_reason: string): string =>
  named({ type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 0 } }) +
  named({ type: "message_stop" })

const STREAMS: Partial<Record<Wire, () => string>> = {
  // Without any `content`: Perplexity's SDK opens a text for an empty one, and others refuse a message that says nothing.
  "openai-chat": () => `${data(chat("chat.completion.chunk", { delta: { role: "assistant" } }))}data: [DONE]\n\n`,
  "openai-responses": () =>
    named({ type: "response.created", response: response("in_progress") }) +
    named({ type: "response.incomplete", response: response("incomplete") }),
  anthropic: () =>
    named({ type: "message_start", message: message(null) }) + ending("tool_use"),
  gemini: () => data(gemini()),
}

const BODIES: Partial<Record<Wire, () => object>> = {
  "openai-chat": () => chat("chat.completion", { message: { role: "assistant", content: null } }),
  "openai-responses": () => response("incomplete"),
  anthropic: () => message("tool_use"),
  gemini: () => gemini(),
}

/** Gives the end of a stream that broke off after content, in its own wire format: the answer is there, but not whole. */
export function cutShort(wire: Wire): string {
  switch (wire) {
    case "openai-chat":
      return `${data({ ...chat("chat.completion.chunk", { delta: {} }, "length"), usage: undefined })}data: [DONE]\n\n`
    case "openai-responses":
      return named({ type: "response.incomplete", response: response("incomplete", "max_output_tokens") })
    case "anthropic":
      return ending("max_tokens")
    case "gemini":
      return data(gemini("MAX_TOKENS"))
    case "unknown":
      return ""
  }
}

/** Gives an error answer that says `text` and is not worth a retry. */
export function refusal(wire: Wire, text: string): Response {
  const type = "invalid_request_error"
  const error =
    wire === "gemini"
      ? { error: { code: 400, message: text, status: "INVALID_ARGUMENT" } }
      : wire === "anthropic"
        ? { type: "error", error: { type, message: text } }
        : { error: { message: text, type, param: null, code: null } }
  return Response.json(error, { status: 400 })
}
