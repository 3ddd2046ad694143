/**
 * OpenCode's bus events (payloads of 1.18.33): what we remember of them, and what the daemon is told.
 *
 * An event we do not know is nothing, never an error. Only what the daemon needs goes on: no conversation text, no
 * headers that do not speak of limits.
 */

import type { Sessions } from "./context.ts"
import type { EditorEvent } from "./protocol.ts"
import { reported } from "./transmit.ts"

const MESSAGE_LIMIT = 2_000
const BODY_LIMIT = 16_384

/** An event as the bus brings it. */
export interface BusEvent {
  type: string
  properties: unknown
}
type Fields = Record<string, unknown>

const fields = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {})
const string = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)
const number = (value: unknown): number => (typeof value === "number" ? value : 0)
const pick = (from: Fields, ...names: string[]): Fields =>
  Object.fromEntries(names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]))

const KNOWN = new Set(["created", "status", "error", "idle", "compacted", "deleted"].map((what) => `session.${what}`))

/**
 * Whether there is anything in an event for us. Most are pieces of text on their way to the screen, and of a step only
 * what is said at its end.
 */
export function concerns(event: BusEvent): boolean {
  if (event.type !== "message.updated") return KNOWN.has(event.type)
  const info = fields(fields(event.properties)["info"])
  return Boolean(info["finish"] ?? info["error"] ?? fields(info["time"])["completed"])
}

/** Gives the session an event speaks of. */
export function sessionOf(event: BusEvent): string | undefined {
  const { sessionID, info } = fields(event.properties)
  return string(sessionID) ?? string(fields(info)["sessionID"]) ?? string(fields(info)["id"])
}

/** Remembers what an event tells of its session. */
export function remember(event: BusEvent, sessions: Sessions): void {
  const id = sessionOf(event)
  if (!id) return
  const properties = fields(event.properties)
  const info = fields(properties["info"])
  switch (event.type) {
    case "session.created":
      sessions.at(id).parent = string(info["parentID"])
      sessions.at(id).fresh = true
      return
    case "session.status":
      sessions.at(id).busy = fields(properties["status"])["type"] !== "idle"
      return
    case "session.error":
      sessions.at(id).stopped = fields(properties["error"])["name"] === "MessageAbortedError"
      return
    case "session.deleted":
      sessions.forget(id)
      return
    case "session.compacted":
      sessions.at(id).tokens = 0
      return
    case "message.updated": {
      const parent = string(info["parentID"])
      if (info["role"] === "assistant" && isEmptyStep(info) && parent && sessions.at(id).moves.has(parent)) {
        sessions.at(id).emptied(string(info["id"]) ?? "")
      }
      const used = fields(info["tokens"])
      const cache = fields(used["cache"])
      const all = [used["input"], used["output"], used["reasoning"], cache["read"], cache["write"]]
      const tokens = all.map(number).reduce((sum, amount) => sum + amount, 0)
      if (tokens > 0 && info["summary"] !== true) sessions.at(id).tokens = tokens
    }
  }
}

/** Gives what the daemon is told of an event, undefined for those that do not concern it. */
export function report(event: BusEvent): EditorEvent | undefined {
  const properties = fields(event.properties)
  const tell = (told: Fields): EditorEvent => ({ type: event.type, properties: told })
  switch (event.type) {
    case "session.error":
      return tell({ ...pick(properties, "sessionID"), error: trouble(properties["error"]) })
    case "session.status":
      // Only a retry tells of a refusal; that a session is busy or idle is of no use to the daemon.
      return fields(properties["status"])["type"] === "retry" ? tell(pick(properties, "sessionID", "status")) : undefined
    case "session.deleted":
      return tell({ sessionID: sessionOf(event) })
    case "message.updated": {
      const info = fields(properties["info"])
      const error = trouble(info["error"])
      const over = info["role"] === "assistant" && (error || fields(info["time"])["completed"])
      return over && !isEmptyStep(info)
        ? tell({ info: { ...pick(info, ...STEP_FIELDS), ...(error && { error }) } })
        : undefined
    }
    default:
      return undefined
  }
}

const STEP_FIELDS = [
  "id",
  "sessionID",
  "parentID",
  "role",
  "agent",
  "mode",
  "providerID",
  "modelID",
  "variant",
  "cost",
  "tokens",
  "time",
  "finish",
]

/** The empty step of a handover was never asked of any provider. */
function isEmptyStep(info: Fields): boolean {
  const { input, output } = fields(info["tokens"])
  return !info["error"] && !input && !output && ["tool-calls", "unknown"].includes(string(info["finish"]) ?? "")
}

function trouble(error: unknown): Fields | undefined {
  const { name, data } = fields(error)
  if (!string(name)) return undefined
  const said = fields(data)
  const headers = Object.entries(fields(said["responseHeaders"])).filter(([, value]) => typeof value === "string")
  return {
    name,
    data: {
      ...pick(said, "statusCode", "providerID"),
      message: string(said["message"])?.slice(0, MESSAGE_LIMIT) ?? "",
      ...(headers.length > 0 && { responseHeaders: reported(new Headers(headers as [string, string][])) }),
      ...(said["responseBody"] !== undefined && {
        responseBody: string(said["responseBody"])?.slice(0, BODY_LIMIT) ?? "",
      }),
    },
  }
}
