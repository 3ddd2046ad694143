/**
 * Requests made from OpenCode's: for another provider of the same wire format (titles and compactions, which are no loop
 * steps), and for the rest of an answer that broke off.
 *
 * Builds the new request from nothing: of the old one only the body and harmless headers go along, so that no key,
 * account or cookie of one provider ever reaches another. No I/O.
 */

import type { Access } from "./editor.ts"
import type { Wire } from "./protocol.ts"
import { parse } from "./wire.ts"

export interface Outgoing {
  url: string
  init: RequestInit
  body: string
}

const KEPT = ["accept", "content-type", "user-agent", "anthropic-version"]

/** Where the part of the address begins that the wire format owns. */
const ENDPOINT: Partial<Record<Wire, RegExp>> = {
  "openai-chat": /\/chat\/completions$/,
  "openai-responses": /\/responses$/,
  anthropic: /\/messages$/,
  gemini: /\/models\/[^/]+:\w+$/,
}

/** Gives the request for another target, undefined when it cannot be made. */
export function rerouted(request: Outgoing, wire: Wire, to: Access | undefined): Outgoing | undefined {
  try {
    return made(request, wire, to)
  } catch {
    // An address or a header of the configuration that is none.
    return undefined
  }
}

function made(request: Outgoing, wire: Wire, to: Access | undefined): Outgoing | undefined {
  const body = parse(request.body)
  const url = new URL(request.url)
  const endpoint = ENDPOINT[wire]?.exec(url.pathname)?.[0]
  if (!to || to.wire !== wire || !body || !endpoint) return undefined
  const headers = new Headers()
  const old = new Headers(request.init.headers)
  for (const name of KEPT) {
    const value = old.get(name)
    if (value) headers.set(name, value)
  }
  for (const [name, value] of Object.entries(to.headers)) headers.set(name, value)
  if (wire === "anthropic") headers.set("x-api-key", to.key)
  else if (wire === "gemini") headers.set("x-goog-api-key", to.key)
  else headers.set("authorization", `Bearer ${to.key}`)
  const path = wire === "gemini" ? endpoint.replace(/^\/models\/[^/]+(?=:)/, `/models/${to.model}`) : endpoint
  const query = wire === "gemini" && url.searchParams.get("alt") === "sse" ? "?alt=sse" : ""
  const text = JSON.stringify(wire === "gemini" ? body : { ...body, model: to.model })
  return {
    url: to.baseURL.replace(/\/+$/, "") + path + query,
    init: { method: "POST", headers, body: text, signal: request.init.signal ?? null },
    body: text,
  }
}

const GO_ON = "The answer above broke off. Go on exactly where it stops, and repeat nothing of it."

/** Where a format keeps the conversation, how it names who speaks, and how it writes a text of the user's. */
const CONVERSATIONS: Partial<Record<Wire, { at: string; model: string; says: (text: string) => object }>> = {
  "openai-chat": { at: "messages", model: "assistant", says: (text) => ({ role: "user", content: text }) },
  "openai-responses": {
    at: "input",
    model: "assistant",
    says: (text) => ({ role: "user", content: [{ type: "input_text", text }] }),
  },
  anthropic: {
    at: "messages",
    model: "assistant",
    says: (text) => ({ role: "user", content: [{ type: "text", text }] }),
  },
  gemini: { at: "contents", model: "model", says: (text) => ({ role: "user", parts: [{ text }] }) },
}

/**
 * Asks for the rest of an answer that broke off. Its beginning is in the conversation; where it is the last word, many
 * models refuse the request. What is added here is in no record of OpenCode's.
 */
export function continued(request: Outgoing, wire: Wire): Outgoing {
  const conversation = CONVERSATIONS[wire]
  const body = parse(request.body)
  const said = conversation && body?.[conversation.at]
  if (!conversation || !Array.isArray(said)) return request
  const last = said.at(-1) as { role?: unknown; tool_calls?: unknown } | undefined
  if (last?.role !== conversation.model || last.tool_calls) return request
  const text = JSON.stringify({ ...body, [conversation.at]: [...said, conversation.says(GO_ON)] })
  return { ...request, body: text, init: { ...request.init, body: text } }
}
