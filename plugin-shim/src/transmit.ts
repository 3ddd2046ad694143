/**
 * One attempt: a request sent, and its answer watched until it is known to be good or bad, then to its end.
 *
 * Good answers are handed on as they come, bad ones with everything needed to deliver them untouched after all. Knows
 * HTTP and the wire formats; knows neither the daemon's decisions nor OpenCode.
 */

import { within, type Clock } from "./clock.ts"
import { BODY_LIMIT, type Outcome, type Wire } from "./protocol.ts"
import type { Outgoing } from "./reroute.ts"
import { begin, resume, type Beginning, type End, type Mend } from "./stream.ts"

const ERROR_BODY_MS = 5_000
const ERROR_TEXT = 1_000
const REPORTED = /^(retry-after|retry-after-ms|x-should-retry|date)$|ratelimit|rate-limit/

export type Send = (url: string, init: RequestInit) => Promise<Response>
/** The part of an outcome that the exchange itself tells. */
export type Result = Pick<Outcome, "ended"> &
  Partial<Pick<Outcome, "status" | "headers" | "body" | "error" | "content_sent" | "latency_ms" | "first_token_ms">>

/** A bad answer: what to report, how to deliver it all the same, how to drop it. */
export interface Failure {
  result: Result
  deliver(): Response
  discard(): void
}

export interface Transmission {
  clock: Clock
  send: Send
  request: Outgoing
  wire: Wire
  /** Whether a stream was asked for. */
  stream: boolean
  /** How long the first byte of a stream may take, in milliseconds. */
  patience: number | undefined
  /** How a stream is ended that breaks off after content; without it, it breaks for the caller too. */
  mend?: Mend | undefined
  /** The first content of a good answer is there. */
  answered(): void
  /** A good answer, or one the caller aborted, is over. */
  over(result: Result): void
}

/** Whether the person gave up; a time limit of OpenCode's own is a failure like any other. */
export const gaveUp = (signal: AbortSignal | null | undefined): boolean =>
  signal?.aborted === true && !isTimeout(signal.reason)

const isTimeout = (error: unknown): boolean =>
  /timeout|timed out/i.test(`${(error as Error)?.name} ${(error as Error)?.message}`)

/** Sends the request; rejects only when the caller gave up. */
export async function transmit(t: Transmission): Promise<Response | Failure> {
  const { clock, request, wire } = t
  const caller = request.init.signal
  const began = clock.now()
  const elapsed = () => clock.now() - began
  const upstream = new AbortController()
  const discard = () => upstream.abort()
  let late = false
  const hurry = () => {
    late = true
    upstream.abort(new DOMException("no first byte in time", "TimeoutError"))
  }
  const calm = t.patience === undefined ? () => undefined : clock.after(t.patience, hurry)
  const failure = (deliver: () => Response, result: Result): Failure => {
    if (gaveUp(caller)) throw caller?.reason
    return { result: { ...result, latency_ms: elapsed() }, deliver, discard }
  }
  try {
    const signal = caller ? AbortSignal.any([caller, upstream.signal]) : upstream.signal
    const response = await t.send(request.url, { ...request.init, signal })
    const told = () => ({ status: response.status, headers: reported(response.headers) })
    const type = response.headers.get("content-type") ?? ""
    const isEvents = type.startsWith("text/event-stream")
    // An SDK that asked for a stream reads nothing out of a plain object, whatever it says.
    const mute = t.stream && wire !== "unknown" && type.startsWith("application/json")
    if (!response.ok || mute) {
      return failure(() => response, { ended: "failed", ...told(), body: await excerpt(clock, response) })
    }
    if (!response.body) {
      t.over({ ended: "ok", ...told(), latency_ms: elapsed() })
      return response
    }
    const good = (from: Pick<Beginning, "held" | "reader">): Response => {
      t.answered()
      const first = isEvents ? { first_token_ms: elapsed() } : {}
      const over = (end: End) => t.over({ ...outcome(end, caller), ...first, ...told(), latency_ms: elapsed() })
      const mend = () => (caller?.aborted ? undefined : t.mend)
      return copy(response, resume(from, isEvents ? wire : "unknown", over, mend))
    }
    if (!isEvents) return good({ held: [], reader: response.body.getReader() })
    const beginning = await begin(response.body, wire, calm)
    if (beginning.kind === "content") return good(beginning)
    const deliver = () =>
      copy(
        response,
        resume(beginning, "unknown", () => undefined),
      )
    return beginning.kind === "error"
      ? failure(deliver, { ended: "failed", ...told(), body: beginning.data.slice(0, BODY_LIMIT) })
      : failure(deliver, { ended: "empty", ...told() })
  } catch (error) {
    if (gaveUp(caller)) {
      t.over({ ended: "aborted", latency_ms: elapsed() })
      throw error
    }
    const deliver = () => {
      throw error
    }
    return failure(deliver, { ended: "failed", error: late ? "first_token_timeout" : describe(error) })
  } finally {
    calm()
  }
}

function outcome(end: End, caller: AbortSignal | null | undefined): Result {
  if (end.ended === "failed" && gaveUp(caller)) return { ended: "aborted" }
  if (end.ended !== "failed") return { ended: end.ended }
  const said = end.data === undefined ? { error: describe(end.error) } : { body: end.data.slice(0, BODY_LIMIT) }
  return { ended: "failed", content_sent: true, ...said }
}

const copy = (response: Response, body: ReadableStream): Response =>
  new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers })

/** Gives the headers that speak of limits, and no others: they must not carry keys or accounts. */
export function reported(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => REPORTED.test(name)).map(([name, value]) => [name, value]))
}

/** Reads the beginning of a body without taking it from the response. */
async function excerpt(clock: Clock, response: Response): Promise<string> {
  const reader = response.clone().body?.getReader()
  const decoder = new TextDecoder()
  let text = ""
  const reading = async () => {
    for (;;) {
      const part = await reader?.read()
      if (!part || part.done || text.length > BODY_LIMIT) return
      text += decoder.decode(part.value, { stream: true })
    }
  }
  await within(
    clock,
    ERROR_BODY_MS,
    reading().catch(() => undefined),
  )
  void reader?.cancel().catch(() => undefined)
  return text.slice(0, BODY_LIMIT)
}

function describe(error: unknown): string {
  if (isTimeout(error)) return "timeout"
  const { name, message, code } = Object(error) as { name?: unknown; message?: unknown; code?: unknown }
  // Addresses can hold a key in their query.
  return [code, name, message].filter(Boolean).join(" ").replace(/\?\S*/g, "").slice(0, ERROR_TEXT)
}
