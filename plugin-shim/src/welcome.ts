/**
 * What the daemon says to our introduction, told to the person once and not with every introduction.
 *
 * Words and bookkeeping only; nothing is decided here.
 */

import type { HelloReply, Toast } from "./protocol.ts"
import type { Voice } from "./voice.ts"

/** Who shows it. */
export interface Host {
  voice: Pick<Voice, "settle">
  toast(toast: Toast): void
  log(level: "warn", text: string): void
}

export class Welcome {
  readonly #host: Host
  #warned = new Set<string>()
  /** Why running turns were not moved, as it was said last; undefined while they are. */
  #held: string | undefined
  /** What is to be shown once somebody is there. */
  #waiting: Toast[] | undefined = []

  constructor(host: Host) {
    this.#host = host
  }

  hear(reply: HelloReply): void {
    this.#host.voice.settle(reply)
    this.#warn(reply.warnings ?? [])
    const why = reply.handover === false ? (reply.handover_why ?? "") : undefined
    if (why === this.#held) return
    this.#held = why
    this.#show(why === undefined ? MOVED : { ...HELD, message: `${why} ${HELD.message}`.trim() })
  }

  /** A person has sent a message. What is shown before that nobody sees: the TUI is still putting itself together. */
  met(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const toast of waiting) this.#host.toast(toast)
  }

  #show(toast: Toast): void {
    if (this.#waiting) this.#waiting.push(toast)
    else this.#host.toast(toast)
  }

  #warn(warnings: string[]): void {
    const news = warnings.filter((warning) => !this.#warned.has(warning))
    this.#warned = new Set(warnings)
    for (const warning of news) this.#host.log("warn", warning)
    if (news.length > 0) {
      this.#show({ title: "Rate-limit configuration", message: news.join("\n"), variant: "warning" })
    }
  }
}

const HELD: Toast = {
  title: "Running turns are not moved",
  message: "Turns are moved when they begin; a running one goes on only at providers of the same format.",
  variant: "warning",
}
const MOVED: Toast = {
  title: "Running turns are moved",
  message: "This version of OpenCode has passed the self-test.",
  variant: "success",
}
