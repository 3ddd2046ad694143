/**
 * One tagged request from OpenCode's call to the answer it gets: ask, act, send, report, act again.
 *
 * Carries out what the daemon decides and never decides itself; without an answer in time the request goes through as
 * it is. Every wait ends when the caller gives up, and after that nothing is handed over.
 */

import { sleep, type Clock } from "./clock.ts"
import type { Session, Sessions, Tagged } from "./context.ts"
import type { Editor } from "./editor.ts"
import { headerOf, type Carrier } from "./fetch.ts"
import type { Handovers } from "./handover.ts"
import {
  same,
  written,
  type About,
  type Decision,
  type Mobility,
  type Outcome,
  type Target,
  type Wire,
} from "./protocol.ts"
import { continued, rerouted, type Outgoing } from "./reroute.ts"
import type { Sidecar } from "./sidecar.ts"
import { emptyStep, refusal } from "./stub.ts"
import { gaveUp, transmit, type Result, type Send } from "./transmit.ts"
import { read, recognise, type Asked } from "./wire.ts"

/** Rounds of asking per request; whatever the daemon says, a request must come to an end. */
const ROUNDS = 20
/** Answers that break off, one after another, before a turn ends there. */
const BREAKS = 5
const LONGEST_WAIT_S = 3_600
/** A refusal that names a longer wait than this is not delivered before the daemon has been looked for once more. */
const LONG_S = 10
const LOOKS = 3
const LOOK_MS = 1_000
const SAID = 1_000
const DAY_MS = 86_400_000
/** Agents whose requests are no steps of the loop. */
const NO_STEP = new Set(["title", "compaction", "summary"])

export interface Services {
  clock: Clock
  directory: string
  sidecar: Pick<Sidecar, "route" | "outcome" | "report" | "patience" | "handover">
  editor: Editor
  sessions: Sessions
  handovers: Pick<Handovers, "move">
}

/** What a decision comes to: an answer, another round, or the request as it is. */
type Next = Response | "again" | "go"

/** Gives what answers a request whose context `chat.headers` told. */
export const carrier = (tagged: Tagged, services: Services): Carrier => {
  return (request, send) => new Attempts(tagged, services, request, send).run()
}

class Attempts {
  readonly #tagged: Tagged
  readonly #services: Services
  readonly #send: Send
  readonly #session: Session
  readonly #wire: Wire
  readonly #asked: Asked
  #about: Omit<About, "target">
  #request: Outgoing
  #target: Target

  constructor(tagged: Tagged, services: Services, request: Outgoing, send: Send) {
    this.#tagged = tagged
    this.#services = services
    this.#request = request
    this.#send = send
    this.#target = tagged.target
    this.#session = services.sessions.at(tagged.session)
    this.#wire = recognise(request.url)
    // What is no step does not carry the conversation as it is: its own size tells what it needs.
    const beside = NO_STEP.has(tagged.agent)
    this.#asked = read(request.url, request.body, beside ? 0 : this.#session.tokens)
    const parent = this.#session.parent ?? headerOf(request, "x-parent-session-id")
    this.#about = {
      session: tagged.session,
      ...(parent && { parent }),
      directory: services.directory,
      agent: tagged.agent,
      turn: tagged.message.id,
      wire: this.#wire,
      mobility: this.#mobility(tagged.agent),
      needs: this.#asked.needs,
    }
    if (this.#isStep && this.#breaks > 0) this.#request = continued(request, this.#wire)
  }

  get #isStep(): boolean {
    return this.#about.mobility === "handover"
  }

  get #breaks(): number {
    return this.#session.broken.get(this.#tagged.message.id) ?? 0
  }

  #mobility(agent: string): Mobility {
    if (this.#wire === "unknown") return "fixed"
    if (NO_STEP.has(agent)) return "reroute"
    const { sidecar, editor } = this.#services
    return (sidecar.handover ?? editor.tested) ? "handover" : "same_wire"
  }

  async run(): Promise<Response> {
    const move = this.#session.moves.get(this.#tagged.message.id)
    // Where another plugin chose a third model meanwhile, that one is asked about like any other.
    const left = move && !same(move.to, this.#target) && same(move.chosen, this.#target)
    if (left && this.#about.mobility === "handover") {
      // The turn is elsewhere already, only its message still says otherwise.
      const moved = await this.#handOver(move.to)
      if (moved) return moved
    }
    for (let round = 0; round < ROUNDS; round++) {
      const attempt = crypto.randomUUID()
      const route = { ...this.#about, target: this.#target, at: "attempt" as const, attempt }
      const decision = await this.#services.sidecar.route(route)
      const before = await this.#follow(attempt, decision)
      if (before instanceof Response) return before
      if (before === "again") continue
      const sent = await this.#transmit(attempt, decision?.probe)
      if (sent instanceof Response) return sent
      const after = await this.#failed(attempt, sent.result)
      // Where OpenCode's own time limit is up, nothing can be sent any more.
      if (after === "go" || (after === "again" && this.#request.init.signal?.aborted)) return sent.deliver()
      sent.discard()
      if (after instanceof Response) return after
    }
    // Once more, as it is: what comes is reported and delivered, whatever anybody says.
    const attempt = crypto.randomUUID()
    const last = await this.#transmit(attempt)
    if (last instanceof Response) return last
    this.#services.sidecar.report(this.#outcome(attempt, last.result))
    return last.deliver()
  }

  /** Reports a failure and does what is to be done about it. */
  async #failed(attempt: string, result: Result): Promise<Next> {
    const { clock, editor, sidecar } = this.#services
    const decision = await sidecar.outcome(this.#outcome(attempt, result))
    if (decision && decision.action !== "proceed") {
      const said = (result.body ?? result.error ?? "").slice(0, SAID)
      editor.log("info", `${written(this.#target)} said: ${result.status ?? ""} ${said}`)
    }
    if (decision || !isLong(result)) return this.#follow(attempt, decision)
    // Delivered as it is, OpenCode would sleep for as long as it names. A daemon that died is being started meanwhile.
    for (let looks = 0; looks < LOOKS; looks++) {
      await sleep(clock, LOOK_MS, this.#request.init.signal)
      this.#stopIfGivenUp(attempt)
      const late = await sidecar.route({ ...this.#about, target: this.#target, at: "attempt" })
      if (late) return late.action === "proceed" ? "again" : this.#follow(attempt, late)
    }
    return "go"
  }

  #transmit(attempt: string, probe = false): ReturnType<typeof transmit> {
    const { clock, editor, sidecar } = this.#services
    const target = this.#target
    const began = clock.now()
    return transmit({
      clock,
      send: this.#send,
      request: this.#request,
      wire: this.#wire,
      stream: this.#asked.stream,
      patience: this.#asked.stream ? sidecar.patience(target.provider) : undefined,
      answered: () => {
        const first = { ended: "began", first_token_ms: clock.now() - began } as const
        if (probe) sidecar.report({ ...this.#outcome(attempt, first), target })
        const toast = this.#about.mobility === "reroute" ? undefined : this.#session.arrived(target)
        if (toast) editor.toast(toast, this.#session.id)
      },
      mend: this.#isStep ? (this.#breaks < BREAKS ? "goes-on" : "stops") : undefined,
      over: (result) => {
        const whole = result.ended === "ok"
        if (this.#isStep && (whole || result.content_sent)) this.#session.answered(this.#tagged.message.id, whole)
        sidecar.report({ ...this.#outcome(attempt, result), target })
      },
    })
  }

  #outcome(attempt: string, result: Result): Outcome {
    return { ...this.#about, target: this.#target, attempt, ...result }
  }

  async #follow(attempt: string, decision: Decision | undefined): Promise<Next> {
    this.#stopIfGivenUp(attempt)
    if (!decision) return "go"
    const { clock, editor } = this.#services
    if (decision.toast) editor.toast(decision.toast, this.#session.id)
    switch (decision.action) {
      case "wait":
        editor.log("info", `waiting ${decision.wait_s ?? 0} s for ${written(this.#target)}: ${decision.reason.text}`)
        await sleep(clock, Math.min(decision.wait_s ?? 0, LONGEST_WAIT_S) * 1_000, this.#request.init.signal)
        this.#stopIfGivenUp(attempt)
        return "again"
      case "switch":
        return decision.target ? this.#switch(decision.target, decision) : "go"
      case "refuse":
        return this.#refuse(decision)
      default:
        return "go"
    }
  }

  async #switch(to: Target, decision: Decision): Promise<Next> {
    const { editor } = this.#services
    editor.log("info", `${written(this.#target)} -> ${written(to)} (${this.#tagged.agent}): ${decision.reason.text}`)
    if (decision.arrival) this.#session.expect(to, decision.arrival)
    if (this.#about.mobility === "handover") {
      const moved = await this.#handOver(to)
      if (moved) return moved
    }
    if (this.#about.mobility === "handover") this.#about = { ...this.#about, mobility: "same_wire" }
    const request = rerouted(this.#request, this.#wire, editor.access(to))
    if (!request) return this.#tagged.agent === "title" ? this.#refuse(decision) : "go"
    this.#request = request
    this.#target = to
    return "again"
  }

  async #handOver(to: Target): Promise<Response | undefined> {
    const answer = emptyStep(this.#wire, this.#asked.stream)
    const moved = answer !== undefined && (await this.#services.handovers.move(this.#session, this.#tagged, to))
    const signal = this.#request.init.signal
    if (gaveUp(signal)) throw signal?.reason
    return moved ? answer : undefined
  }

  #refuse(decision: Decision): Response {
    const { editor } = this.#services
    editor.log("warn", `not sent to ${written(this.#target)}: ${decision.reason.text}`)
    return refusal(this.#wire, editor.final(`rate-limit-sidecar: ${decision.reason.text}${this.#oClock(decision)}`))
  }

  /** Says at what time of the day a decision's reason ends: the daemon counts, only the screen has a time zone. */
  #oClock({ until }: Decision): string {
    const at = (until ?? 0) * 1_000
    const left = at - this.#services.clock.now()
    if (left <= 0 || left >= DAY_MS) return ""
    return ` (at ${new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })})`
  }

  #stopIfGivenUp(attempt: string): void {
    const signal = this.#request.init.signal
    if (!gaveUp(signal)) return
    this.#services.sidecar.report(this.#outcome(attempt, { ended: "aborted" }))
    throw signal?.reason
  }
}

function isLong({ headers = {} }: Result): boolean {
  const named = headers["retry-after"]
  // What is no number is a date, and nobody names a date for a moment.
  return named !== undefined && !(Number(named) <= LONG_S)
}
