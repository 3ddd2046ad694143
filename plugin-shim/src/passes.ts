/**
 * Leave given in advance: where the daemon said so, a turn's next attempt goes without a question.
 *
 * A question costs more than its answer takes: while it is on its way OpenCode's own work is done first. Who gets a
 * pass, and for how long, the daemon decides; here it is kept, used once, and lost as soon as anything fails.
 */

import type { Clock } from "./clock.ts"
import { same, type About, type Decision, type Target } from "./protocol.ts"

const SESSIONS = 500
const LONGEST_MS = 5_000

interface Pass {
  turn: string
  target: Target
  until: number
}

export class Passes {
  readonly #clock: Clock
  /** By session: there is one turn at a time. */
  readonly #passes = new Map<string, Pass>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes note of what an answer allows; one that says anything but "proceed" takes all leave for its provider back. */
  keep(about: About, said: Decision | undefined): void {
    if (!said) return
    if (said.action !== "proceed") this.drop(about.target.provider)
    if (about.mobility !== "handover" || !said.pass_s) return
    this.#passes.delete(about.session)
    const until = this.#clock.now() + said.pass_s * 1_000
    this.#passes.set(about.session, { turn: about.turn, target: said.target ?? about.target, until })
    for (const oldest of this.#passes.keys()) {
      if (this.#passes.size <= SESSIONS) return
      this.#passes.delete(oldest)
    }
  }

  /** Whether an attempt may go without asking; its pass is used up then. */
  use(about: About): boolean {
    const pass = this.#passes.get(about.session)
    if (!pass || about.mobility !== "handover" || pass.turn !== about.turn || !same(pass.target, about.target)) return false
    this.#passes.delete(about.session)
    const left = pass.until - this.#clock.now()
    // A clock that was stepped back gives nothing away.
    return left > 0 && left <= LONGEST_MS
  }

  /** Something went wrong at a provider. */
  drop(provider: string): void {
    for (const [session, { target }] of this.#passes) if (target.provider === provider) this.#passes.delete(session)
  }
}
