/**
 * Leave given in advance: where the daemon said so, a turn's next attempt, or a session's next turn, goes without a
 * question.
 *
 * A question costs more than its answer takes: while it is on its way OpenCode's own work is done first. Who gets a
 * pass, and for how long, the daemon decides; here it is kept, used once, and lost as soon as anything fails. Leave to
 * open a turn holds while people read and type, so the daemon's seal is looked at in the moment it is used: it is broken
 * as soon as the answer might be another.
 */

import type { Clock } from "./clock.ts"
import { same, type About, type Decision, type Route, type Target } from "./protocol.ts"

const SESSIONS = 500
const LONGEST_MS = 5_000
const LEAVE_MS = 1_800_000
/** How long the first attempt of a turn that was opened with leave needs no question either. */
const OPENED_MS = 1_000

interface Pass {
  turn: string
  target: Target
  until: number
}

interface Leave {
  target: Target
  seal: string
  until: number
}

export class Passes {
  readonly #clock: Clock
  readonly #seal: () => string
  /** By session: there is one turn at a time. */
  readonly #passes = new Map<string, Pass>()
  readonly #leaves = new Map<string, Leave>()

  /** `seal` reads what the daemon's seal says now. */
  constructor(clock: Clock, seal: () => string) {
    this.#clock = clock
    this.#seal = seal
  }

  /** Takes note of what an answer allows; one that says anything but "proceed" takes all leave for its provider back. */
  keep(about: About, said: Decision | undefined): void {
    if (!said) return
    if (said.action !== "proceed") this.drop(about.target.provider)
    if (about.mobility !== "handover") return
    const now = this.#clock.now()
    if (said.pass_s) {
      const target = said.target ?? about.target
      put(this.#passes, about.session, { turn: about.turn, target, until: now + said.pass_s * 1_000 })
    }
    if (said.leave) put(this.#leaves, about.session, { target: about.target, seal: said.leave, until: now + LEAVE_MS })
  }

  /** Whether a turn may open, or an attempt go, without asking; what allowed it is used up then. */
  use(about: Route): boolean {
    return about.at === "message" ? this.#open(about) : this.#send(about)
  }

  #open(about: Route): boolean {
    const leave = this.#leaves.get(about.session)
    this.#leaves.delete(about.session)
    if (!leave || about.mobility !== "handover" || !same(leave.target, about.target)) return false
    const now = this.#clock.now()
    const left = leave.until - now
    if (left <= 0 || left > LEAVE_MS || this.#seal() !== leave.seal) return false
    put(this.#passes, about.session, { turn: about.turn, target: about.target, until: now + OPENED_MS })
    return true
  }

  #send(about: Route): boolean {
    const pass = this.#passes.get(about.session)
    if (!pass || about.mobility !== "handover" || pass.turn !== about.turn || !same(pass.target, about.target)) return false
    this.#passes.delete(about.session)
    const left = pass.until - this.#clock.now()
    // A clock that was stepped back gives nothing away.
    return left > 0 && left <= LONGEST_MS
  }

  /** Something went wrong at a provider. */
  drop(provider: string): void {
    for (const kept of [this.#passes, this.#leaves]) {
      for (const [session, { target }] of kept) if (target.provider === provider) kept.delete(session)
    }
  }
}

function put<T>(kept: Map<string, T>, session: string, value: T): void {
  kept.delete(session)
  kept.set(session, value)
  for (const oldest of kept.keys()) {
    if (kept.size <= SESSIONS) return
    kept.delete(oldest)
  }
}
