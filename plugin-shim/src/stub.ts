/**
 * Answers of our own: the empty step that makes OpenCode go on, and the refusal that makes it stop.
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

const chat = (object: string, choice: object) => ({
  id: MODEL,
  object,
  created: 0,
  model: MODEL,
  choices: [{ index: 0, ...choice, finish_reason: "tool_calls" }],
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
const response = (status: string) => ({
  id: MODEL,
  object: "response",
  created_at: 0,
  model: MODEL,
  status,
  output: [],
  // A reason the SDK has no name for becomes "unknown".
  incomplete_details: status === "incomplete" ? { reason: "moved" } : null,
  usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 },
})
const gemini = () => ({
  candidates: [{ index: 0, content: { role: "model", parts: [] }, finishReason: "OTHER" }],
  usageMetadata: { promptTokenCount: 0, candidatesTokenCount: 0, totalTokenCount: 0 },
  modelVersion: MODEL,
})

const STREAMS: Partial<Record<Wire, () => string>> = {
  "openai-chat": () =>
    `${data(chat("chat.completion.chunk", { delta: { role: "assistant", content: "" } }))}data: [DONE]\n\n`,
  "openai-responses": () =>
    named({ type: "response.created", response: response("in_progress") }) +
    named({ type: "response.incomplete", response: response("incomplete") }),
  anthropic: () =>
    named({ type: "message_start", message: message(null) }) +
    named({
      type: "message_delta",
      delta: { stop_reason: "tool_use", stop_sequence: null },
      usage: { output_tokens: 0 },
    }) +
    named({ type: "message_stop" }),
  gemini: () => data(gemini()),
}

const BODIES: Partial<Record<Wire, () => object>> = {
  "openai-chat": () => chat("chat.completion", { message: { role: "assistant", content: null } }),
  "openai-responses": () => response("incomplete"),
  anthropic: () => message("tool_use"),
  gemini,
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
