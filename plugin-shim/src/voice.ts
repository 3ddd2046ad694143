/**
 * What a person is told, and once: the same news of ten sessions is one line, not ten.
 *
 * Decides where it is heard (toast, standard error, log), never what is said. Standard output belongs to OpenCode and is
 * not written to here or anywhere else.
 */

import type { Clock } from "./clock.ts"
import type { HelloReply, Toast } from "./protocol.ts"

/** So long the same news is no news. */
const NEWS_MS = 60_000
const KEPT = 100

export interface Outlets {
  /** Whether this process draws on the terminal, so that a line of ours would end up in its picture. */
  draws: boolean
  toast(toast: Toast): void
  log(level: "info" | "error", text: string): void
  stderr(line: string): void
}

export class Voice {
  readonly #clock: Clock
  readonly #outlets: Outlets
  readonly #said = new Map<string, { at: number; by: Set<string> }>()
  #toasts = true
  #stderr: NonNullable<HelloReply["stderr"]> = "auto"

  constructor(clock: Clock, outlets: Outlets) {
    this.#clock = clock
    this.#outlets = outlets
  }

  /** Takes what the daemon's configuration says about being heard. */
  settle(reply: HelloReply): void {
    this.#toasts = reply.toasts ?? true
    this.#stderr = reply.stderr ?? "auto"
  }

  /** Says it, unless another session has just brought the same news; what happens to one session twice is news twice. */
  say(toast: Toast, session?: string): void {
    if (!this.#isNews(toast.key, session)) return
    const line = toast.line ?? ""
    const { draws, log, stderr } = this.#outlets
    log(toast.variant === "error" ? "error" : "info", line || `${toast.title}: ${toast.message}`)
    if (this.#toasts) this.#outlets.toast(toast)
    if (line && (this.#stderr === "always" || (this.#stderr === "auto" && !draws))) {
      stderr(`rate-limit-sidecar: ${line.replace(/\p{Cc}+/gu, " ")}\n`)
    }
  }

  #isNews(key: string | undefined, session = ""): boolean {
    if (!key) return true
    const now = this.#clock.now()
    const last = this.#said.get(key)
    if (last && Math.abs(now - last.at) < NEWS_MS && !last.by.has(session)) {
      if (session) last.by.add(session)
      return false
    }
    this.#said.delete(key)
    this.#said.set(key, { at: now, by: new Set(session ? [session] : []) })
    for (const old of this.#said.keys()) {
      if (this.#said.size <= KEPT) break
      this.#said.delete(old)
    }
    return true
  }
}
