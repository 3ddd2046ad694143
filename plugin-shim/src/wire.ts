/**
 * The wire formats: which one a request speaks, what it asks for, and what one event of a streamed answer means.
 *
 * Tables and pure functions over one request or one event. No I/O, no state, nothing of OpenCode; answers of our own in
 * these formats are `stub.ts`.
 */

import type { Needs, Wire } from "./protocol.ts"

const ENDPOINTS: [RegExp, Wire][] = [
  [/\/chat\/completions$/, "openai-chat"],
  [/\/responses$/, "openai-responses"],
  [/\/messages$/, "anthropic"],
  [/\/publishers\/anthropic\/models\/[^/]+:(streamRawPredict|rawPredict)$/, "anthropic"],
  [/\/models\/[^/]+:(streamGenerateContent|generateContent)$/, "gemini"],
  // Google's coding subscriptions, as login plugins ask them: the same format, inside `request` and `response`.
  [/\/v1internal:(streamGenerateContent|generateContent)$/, "gemini"],
]

const PACKAGES: Record<string, Wire> = {
  "@ai-sdk/anthropic": "anthropic",
  "@ai-sdk/google-vertex/anthropic": "anthropic",
  "@ai-sdk/azure": "openai-responses",
  "@ai-sdk/openai": "openai-responses",
  "@ai-sdk/google": "gemini",
  "@ai-sdk/google-vertex": "gemini",
  "@ai-sdk/alibaba": "openai-chat",
  "@ai-sdk/cerebras": "openai-chat",
  "@ai-sdk/deepinfra": "openai-chat",
  "@ai-sdk/github-copilot": "openai-chat",
  "@ai-sdk/groq": "openai-chat",
  "@ai-sdk/mistral": "openai-chat",
  "@ai-sdk/openai-compatible": "openai-chat",
  "@ai-sdk/perplexity": "openai-chat",
  "@ai-sdk/togetherai": "openai-chat",
  "@ai-sdk/vercel": "openai-chat",
  "@ai-sdk/xai": "openai-chat",
  "@openrouter/ai-sdk-provider": "openai-chat",
}

/** Gives the wire format of a request by its address. */
export function recognise(url: string): Wire {
  const path = pathOf(url)
  return ENDPOINTS.find(([pattern]) => pattern.test(path))?.[1] ?? "unknown"
}

/** Gives the wire format the AI SDK package of a model speaks. */
export const wireOf = (npm: string): Wire => PACKAGES[npm] ?? "unknown"

export const pathOf = (url: string): string => (URL.canParse(url) ? new URL(url).pathname : "")

/** What the body of a request says. */
export interface Asked {
  stream: boolean
  needs: Needs
}

/** Found in the text, because reading all of a long conversation as JSON takes longer than all else before a request. */
const IMAGE = /"(?:image_url|input_image|inlineData|inline_data)"|"type":\s*"image"/
const TOOLS = /"tools":\s*\[\s*\{/
/** The last fields of a body, as the AI SDK writes them: further in it could be a tool's arguments. */
const STREAMED = /"stream":\s*true(?:,"stream_options":\{[^{}]*\})?\}$/
const TAIL = 200
const CHARS_PER_TOKEN = 4

/** Reads a request; `tokens` is what the conversation is known to hold, 0 when that is not known. */
export function read(url: string, body: string, tokens: number): Asked {
  const images = IMAGE.test(body)
  const streamed = /^[^?#]*:stream/.test(url) || STREAMED.test(body.slice(-TAIL))
  return {
    stream: streamed || parse(body)?.["stream"] === true,
    needs: {
      // Without a count from the provider the length is a fair guess, unless it is the length of pictures.
      context: tokens || (images ? 0 : Math.floor(body.length / CHARS_PER_TOKEN)),
      tools: TOOLS.test(body),
      images,
    },
  }
}

type Json = Record<string, unknown>

export function parse(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined
  } catch {
    return undefined
  }
}

/** `content` also stands for everything unknown: what we do not understand is not ours to hold back. */
export type Meaning = "content" | "error" | "nothing"

/** Says what the data of one server-sent event means. */
export function meaning(wire: Wire, data: string): Meaning {
  if (data === "" || data === "[DONE]") return "nothing"
  const event = parse(data)
  if (!event) return "content"
  if (filled(event["error"]) || event["type"] === "error") return "error"
  switch (wire) {
    case "openai-chat":
      return ofChat(event)
    case "openai-responses":
      return ofResponses(event)
    case "anthropic":
      return ofAnthropic(event)
    case "gemini":
      return ofGemini(event)
    case "unknown":
      return "content"
  }
}

const ENDS: Record<Wire, RegExp> = {
  "openai-chat": /"finish_reason":\s*"|^data:\s*\[DONE\]/m,
  "openai-responses": /"type":\s*"response\.(completed|incomplete|failed)"/,
  anthropic: /"stop_reason":\s*"|"type":\s*"message_stop"/,
  gemini: /"finishReason":\s*"|"blockReason":\s*"/,
  unknown: /(?:)/,
}
const ERRORS = /"(?:error|response\.failed|base_resp)"/

/** Whether a text of events may hold an error (to be looked at), or the end without which a stream is not complete. */
export const says = (wire: Wire, what: "error" | "end", text: string): boolean =>
  what === "end" ? ENDS[wire].test(text) : ERRORS.test(text)

const object = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {})
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : [])
const filled = (value: unknown): boolean =>
  Array.isArray(value)
    ? value.length > 0
    : typeof value === "object"
      ? value !== null
      : value !== undefined && value !== "" && value !== false

/** Ends that are an answer although nothing was said: the model was stopped, it did not fail. */
const STOPPED =
  /^(length|content_filter|max_tokens|max_output_tokens|refusal|safety|recitation|blocklist|prohibited_content|spii|image_safety)$/i
const stopped = (reason: unknown): boolean => typeof reason === "string" && STOPPED.test(reason)

function ofChat(event: Json): Meaning {
  if (!Array.isArray(event["choices"])) return object(event["base_resp"])["status_code"] ? "error" : "content"
  for (const choice of list(event["choices"])) {
    const said = Object.entries(object(choice["delta"] ?? choice["message"])).filter(([key]) => key !== "role")
    if (said.some(([, value]) => filled(value)) || stopped(choice["finish_reason"])) return "content"
  }
  return "nothing"
}

const RESPONSES_FRAME =
  /^(response\.(created|queued|in_progress|completed|incomplete|content_part\.(added|done))|keepalive)$/

function ofResponses(event: Json): Meaning {
  const type = String(event["type"])
  if (type === "response.failed") return "error"
  if (stopped(object(object(event["response"])["incomplete_details"])["reason"])) return "content"
  if (RESPONSES_FRAME.test(type)) return "nothing"
  const item = object(event["item"])
  if (/^response\.output_item\./.test(type) && item["type"] === "message") return "nothing"
  return "content"
}

const ANTHROPIC_FRAME = /^(message_start|message_stop|content_block_stop|ping)$/

function ofAnthropic(event: Json): Meaning {
  const type = String(event["type"])
  if (ANTHROPIC_FRAME.test(type)) return "nothing"
  if (type === "message_delta") return stopped(object(event["delta"])["stop_reason"]) ? "content" : "nothing"
  const block = object(event["content_block"])
  const opened = type === "content_block_start" && (block["type"] === "text" || block["type"] === "thinking")
  return opened && !filled(block["text"]) && !filled(block["thinking"]) ? "nothing" : "content"
}

function ofGemini(event: Json): Meaning {
  if (object(event["promptFeedback"])["blockReason"]) return "content"
  if ("response" in event) return ofGemini(object(event["response"]))
  if (!("candidates" in event)) return "usageMetadata" in event ? "nothing" : "content"
  for (const candidate of list(event["candidates"])) {
    if (stopped(candidate["finishReason"])) return "content"
    for (const part of list(object(candidate["content"])["parts"])) {
      if (Object.entries(part).some(([key, value]) => key !== "thought" && filled(value))) return "content"
    }
  }
  return "nothing"
}
