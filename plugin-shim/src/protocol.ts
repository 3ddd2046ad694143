/**
 * The wire protocol `/v1` as types: what is asked of the daemon and what it answers.
 *
 * A mirror of `sidecar/core/events.py` and `sidecar/core/decisions.py`, which define it; field names are theirs. Nothing
 * in here decides anything or knows OpenCode. Durations end in `_s` (seconds) or `_ms`.
 */

export const PROTOCOL = 1
/** Error bodies are reported up to this many bytes. */
export const BODY_LIMIT = 65_536

export type Wire = "openai-chat" | "openai-responses" | "anthropic" | "gemini" | "unknown"
/**
 * `handover`: the step can move anywhere; `same_wire`: its requests can, within their wire; `reroute`: the same for a
 * request that is no step of a turn; `fixed`: neither.
 */
export type Mobility = "handover" | "same_wire" | "reroute" | "fixed"

export interface Target {
  provider: string
  model: string
  variant?: string | null
}

export interface ModelInfo {
  id: string
  name: string
  context: number
  output: number
  cost_input: number
  cost_output: number
  tools: boolean
  images: boolean
  reasoning: boolean
  released: string
  wire: Wire
  variants: string[]
}

export interface ProviderInfo {
  id: string
  name: string
  base_url: string
  has_key: boolean
  /** Connected by itself, without a key and without anybody asking for it. */
  uninvited: boolean
  default_model: string
  models: ModelInfo[]
}

export interface Hello {
  protocol: number
  client: string
  client_version: string
  shim_version: string
  /** The editor's own program; a self-test of a new version runs it. */
  executable: string
  directory: string
  overrides?: string
  providers: ProviderInfo[]
  /** The agents a chain can be written for. */
  agents?: string[]
}

export interface HelloReply {
  protocol: number
  version: string
  warnings?: string[]
  toasts?: boolean
  stderr?: "auto" | "always" | "never"
  first_token_timeout_s?: Record<string, number>
  /** Whether running turns may be moved with this version of the editor, and why not. */
  handover?: boolean
  handover_why?: string
}

export interface Needs {
  context: number
  tools: boolean
  images: boolean
}

/** What every question about one request carries. */
export interface About {
  session: string
  parent?: string
  directory: string
  agent: string
  turn: string
  target: Target
  wire: Wire
  mobility: Mobility
  needs?: Needs
}

export interface Route extends About {
  at: "message" | "attempt"
  attempt?: string
  /** It was sent already, on the strength of an earlier answer's `pass_s` or `leave`. */
  passed?: boolean
}

export interface Outcome extends About {
  attempt: string
  /** `began` is no end: the first content of an attempt that is a probe. */
  ended: "began" | "ok" | "empty" | "failed" | "aborted"
  status?: number
  headers?: Record<string, string>
  body?: string
  error?: string
  content_sent?: boolean
  age_s?: number
  latency_ms?: number
  first_token_ms?: number
}

export interface Toast {
  title: string
  message: string
  variant?: "info" | "success" | "warning" | "error"
  duration_ms?: number
  /** The same key is the same news. */
  key?: string
  /** The same on one line. */
  line?: string
}

export interface Decision {
  action: "proceed" | "switch" | "wait" | "refuse"
  target?: Target | null
  wait_s?: number | null
  /** When the reason ends, in seconds since the epoch. */
  until?: number | null
  reason: { code: string; text: string }
  toast?: Toast | null
  arrival?: Toast | null
  /** So long the turn's next attempt, at `target` or else where it is, may be sent without asking. */
  pass_s?: number | null
  /** The session's next turn may open here without asking while the daemon's seal says exactly this. */
  leave?: string | null
  /** Others wait for what this attempt finds out: its first content is worth a report. */
  probe?: boolean
}

export interface EditorEvent {
  type: string
  properties: Record<string, unknown>
  age_s?: number
}

export interface EventsReply {
  accepted: number
  toasts?: Toast[]
}

export const written = (target: Target): string => `${target.provider}/${target.model}`
export const same = (a: Target, b: Target): boolean => a.provider === b.provider && a.model === b.model
