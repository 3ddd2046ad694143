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
/** `handover`: the step can move anywhere; `reroute`: this one request can, within its wire; `fixed`: neither. */
export type Mobility = "handover" | "reroute" | "fixed"

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
  directory: string
  overrides?: string
  providers: ProviderInfo[]
}

export interface HelloReply {
  protocol: number
  version: string
  warnings?: string[]
  toasts?: boolean
  first_token_timeout_s?: Record<string, number>
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
  /** It was sent already, on the strength of an earlier answer's `pass_s`. */
  passed?: boolean
}

export interface Outcome extends About {
  attempt: string
  ended: "ok" | "empty" | "failed" | "aborted"
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
}

export interface Decision {
  action: "proceed" | "switch" | "wait" | "refuse"
  target?: Target | null
  wait_s?: number | null
  reason: { code: string; text: string }
  toast?: Toast | null
  arrival?: Toast | null
  /** So long the turn's next attempt, at `target` or else where it is, may be sent without asking. */
  pass_s?: number | null
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
