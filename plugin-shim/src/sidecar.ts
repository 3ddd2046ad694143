/**
 * The daemon as the shim sees it: ask with a budget, fail open, keep what could not be told.
 *
 * Nothing in here may reject or hang, whatever the daemon does: an answer that is not there in time is `undefined`, and
 * the caller goes on as if there were no sidecar. After a failure the daemon is left alone for a while. No OpenCode in
 * here, and no policy.
 */

import { decisionIn, greetingIn, toastsIn } from "./answers.ts"
import { within, type Clock } from "./clock.ts"
import type { Answer, Transport } from "./daemon.ts"
import { Outbox, type Item } from "./outbox.ts"
import { Passes } from "./passes.ts"
import type { Decision, EditorEvent, Hello, HelloReply, Outcome, Route, Toast } from "./protocol.ts"

const ROUTE_MS = 250
const OUTCOME_MS = 2_000
const START_MS = 2_000
const HELLO_MS = 2_000
const STATUS_MS = 2_000
const PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
const AGAIN_MS = 5_000
const RELAUNCH_MS = 60_000
const OUTCOMES_KEPT = 500
const EVENTS_KEPT = 1_000
const EVENTS_BATCH = 50
const EVENTS_DELAY_MS = 100
const GONE = new Set(["ENOENT", "ECONNREFUSED", "ConnectionRefused", "FailedToOpenSocket", "ENOTSOCK", "EACCES"])

export interface SidecarOptions {
  transport: Transport
  clock: Clock
  directory: string
  /** Says who we are and what is connected. */
  describe: () => Promise<Hello>
  hears: {
    greeted(reply: HelloReply): void
    toast(toast: Toast): void
    /** The daemon does not answer; said once until it is back. */
    away(why: string): void
    back(lost: number): void
  }
}

export class Sidecar {
  readonly #options: SidecarOptions
  readonly #clock: Clock
  readonly #outcomes: Outbox<Outcome>
  readonly #events: Outbox<EditorEvent>
  readonly #passes: Passes
  #starting: Promise<void> | undefined
  #startEnds = 0
  #greeting: Promise<boolean> | undefined
  /** The socket we introduced ourselves at; another one is another daemon, which does not know us. */
  #greeted: string | undefined
  #greetedAt = 0
  #reply: HelloReply | undefined
  #failures = 0
  #pausedUntil = 0
  #pause = PAUSE_MS
  #away = false
  /** When it was last started again; the first start of all does not count. */
  #launchedAt = Number.NEGATIVE_INFINITY

  constructor(options: SidecarOptions) {
    this.#options = options
    const clock = (this.#clock = options.clock)
    this.#passes = new Passes(clock, () => options.transport.seal())
    this.#outcomes = new Outbox({
      clock,
      limit: OUTCOMES_KEPT,
      batch: 1,
      delayMs: PAUSE_MS,
      retryMs: PAUSE_MS,
      send: async ([item]) => !item || (await this.#post("/v1/outcome", aged(item, clock), OUTCOME_MS)) !== undefined,
    })
    this.#events = new Outbox({
      clock,
      limit: EVENTS_KEPT,
      batch: EVENTS_BATCH,
      delayMs: EVENTS_DELAY_MS,
      retryMs: PAUSE_MS,
      send: (items) => this.#tell(items),
    })
  }

  /** Finds the daemon, or starts it; returns at once. What is asked meanwhile waits for it, `START_MS` at the most. */
  start(): void {
    this.#startEnds = this.#clock.now() + START_MS
    this.#starting = this.#begin()
      .catch(() => undefined)
      .finally(() => {
        this.#starting = undefined
      })
  }

  /** Asks before something is sent, unless an answer just given covers it. */
  async route(body: Route): Promise<Decision | undefined> {
    // Nobody who answers late or not at all is taken at an old word.
    if (this.#failures === 0 && this.#passes.use(body)) {
      // Later, because the request comes first.
      this.#clock.after(0, () => void this.#post("/v1/route", { ...body, passed: true }, OUTCOME_MS))
      return { action: "proceed", reason: { code: "passed", text: "an answer just given covers it" } }
    }
    const said = decision(await this.#post("/v1/route", body, ROUTE_MS))
    this.#passes.keep(body, said)
    return said
  }

  /** Reports how an attempt ended and waits for what is to be done; kept for later when nobody answers. */
  async outcome(body: Outcome): Promise<Decision | undefined> {
    if (body.ended !== "ok") this.#passes.drop(body.target.provider)
    // Without an answer a failed attempt costs the turn, so one late answer before is no reason not to ask.
    // Of a daemon that did not answer the last question in time, no more is waited for than any question is worth.
    const budget = this.#failures > 0 ? ROUTE_MS : OUTCOME_MS
    const answer = await this.#ask("POST", "/v1/outcome", body, budget, body.ended === "failed")
    if (!answer) this.#outcomes.add(body)
    const said = decision(answer)
    this.#passes.keep(body, said)
    return said
  }

  /** Reports an outcome nobody waits for. */
  report(body: Outcome): void {
    void this.outcome(body).then((answer) => answer?.toast && this.#options.hears.toast(answer.toast))
  }

  event(event: EditorEvent): void {
    this.#events.add(event)
  }

  /** Gives the status report, undefined when the daemon does not answer. */
  async status(): Promise<string | undefined> {
    const answer = await this.#ask("GET", "/v1/status?format=text", undefined, STATUS_MS)
    const text = (answer?.data as { text?: unknown } | null | undefined)?.text
    return typeof text === "string" ? text : undefined
  }

  /** Whether a running turn may be moved with this version of the editor; undefined while the daemon has not said. */
  get handover(): boolean | undefined {
    return this.#reply?.handover
  }

  /** Asks again, once in a while, whether running turns may be moved: a self-test may have passed meanwhile. */
  async renew(): Promise<void> {
    if (this.#reply?.handover !== false || this.#clock.now() - this.#greetedAt < AGAIN_MS) return
    if (this.#clock.now() < this.#pausedUntil) return
    this.#greeted = undefined
    await this.#introduced()
  }

  /** How long a provider may take until its first byte, in milliseconds; undefined when that is not limited. */
  patience(provider: string): number | undefined {
    const limits = this.#reply?.first_token_timeout_s
    const seconds = limits?.[provider] ?? limits?.["*"]
    return seconds !== undefined && seconds > 0 ? seconds * 1_000 : undefined
  }

  /** Sends what is waiting, for `ms` at the most, and lets go of all timers. */
  async close(ms: number): Promise<void> {
    await within(this.#clock, ms, Promise.all([this.#outcomes.flush(), this.#events.flush()]))
    this.#outcomes.close()
    this.#events.close()
  }

  async #begin(): Promise<void> {
    const { transport } = this.#options
    if (!(await within(this.#clock, START_MS, transport.listening()))) {
      const launched = transport.launch().catch(String)
      const problem = await within(this.#clock, this.#startEnds - this.#clock.now(), launched)
      if (problem !== "") {
        this.#failed({ code: "ENOENT" }, problem || "it did not start within two seconds")
        void launched.then((late) => late === "" && this.#resume())
        return
      }
    }
    // The first question is worth waiting for: without an answer a provider known to be limited would be tried.
    await within(this.#clock, this.#startEnds - this.#clock.now(), this.#introduced())
  }

  #post(path: string, body: unknown, budget: number): Promise<Answer | undefined> {
    return this.#ask("POST", path, body, budget)
  }

  async #ask(
    method: "GET" | "POST",
    path: string,
    body: unknown,
    budget: number,
    urgent = false,
  ): Promise<Answer | undefined> {
    const over = new AbortController()
    let asked = false
    const asking = async () => {
      await this.#starting
      const paused = this.#clock.now() < this.#pausedUntil && !(urgent && !this.#away)
      if (paused || !(await this.#introduced())) return { answer: undefined }
      asked = true
      const answer = await this.#exchange(method, path, body, over.signal)
      if (answer) this.#reached()
      return { answer }
    }
    const patience = this.#starting ? Math.max(budget, this.#startEnds - this.#clock.now()) : budget
    const done = await within(this.#clock, patience, asking())
    if (done) return done.answer
    over.abort()
    if (asked) this.#failed(undefined)
    return undefined
  }

  /** Makes sure that the daemon at the socket knows us. */
  async #introduced(): Promise<boolean> {
    if (this.#greeted !== undefined && this.#greeted === this.#options.transport.identity()) return true
    this.#greeting ??= this.#greet().finally(() => {
      this.#greeting = undefined
    })
    return this.#greeting
  }

  async #greet(): Promise<boolean> {
    const identity = this.#options.transport.identity()
    const hello = await within(
      this.#clock,
      HELLO_MS,
      this.#options.describe().catch(() => undefined),
    )
    if (!hello) return this.#failed(undefined, "OpenCode does not say which models are connected")
    const over = new AbortController()
    const exchanged = this.#exchange("POST", "/v1/hello", hello, over.signal).then((answer) => ({ answer }))
    const done = await within(this.#clock, HELLO_MS, exchanged)
    over.abort()
    if (!done) return this.#failed(undefined)
    if (!done.answer) return false
    if (done.answer.status !== 200) return this.#failed(undefined, `it refuses us (HTTP ${done.answer.status})`)
    const reply = greetingIn(done.answer.data)
    if (!reply) return this.#failed(undefined, "something else answers at its socket")
    this.#reached()
    this.#greeted = identity
    this.#greetedAt = this.#clock.now()
    this.#reply = reply
    this.#options.hears.greeted(reply)
    return true
  }

  async #exchange(method: "GET" | "POST", path: string, body: unknown, over: AbortSignal): Promise<Answer | undefined> {
    try {
      return await this.#options.transport.exchange(method, path, body, over)
    } catch (error) {
      if (!over.aborted) this.#failed(error)
      return undefined
    }
  }

  #reached(): void {
    this.#failures = 0
    this.#pause = PAUSE_MS
    this.#pausedUntil = 0
    if (!this.#away) return
    this.#away = false
    this.#options.hears.back(this.#outcomes.dropped + this.#events.dropped)
    void this.#outcomes.flush()
    void this.#events.flush()
  }

  /** Leaves the daemon alone for a while; an error without a code is an answer that did not come in time. */
  #failed(error: unknown, why?: string): false {
    const code = String((error as { code?: unknown } | null)?.code ?? "")
    const gone = GONE.has(code)
    if (gone) this.#greeted = undefined
    // Requests that ran side by side fail together: one failure, one pause.
    if (this.#clock.now() < this.#pausedUntil) return false
    this.#failures++
    this.#pausedUntil = this.#clock.now() + this.#pause
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS)
    // One late answer is a hiccup; a closed door or a second late answer is not.
    if (!this.#away && (gone || this.#failures > 1)) {
      this.#away = true
      this.#options.hears.away(why ?? (gone ? "it is not running" : "it does not answer in time"))
    }
    if (gone && !why) this.#revive()
    return false
  }

  /** Starts a daemon again that died; one that was stopped on purpose has taken its socket with it. */
  #revive(): void {
    const now = this.#clock.now()
    if (!this.#options.transport.identity() || now - this.#launchedAt < RELAUNCH_MS) return
    this.#launchedAt = now
    void this.#options.transport.launch().then(
      (problem) => problem === "" && this.#resume(),
      () => undefined,
    )
  }

  #resume(): void {
    this.#pausedUntil = 0
    void this.#introduced()
  }

  async #tell(items: Item<EditorEvent>[]): Promise<boolean> {
    const events = items.map((item) => aged(item, this.#clock))
    const answer = await this.#post("/v1/events", { directory: this.#options.directory, reports_attempts: true, events }, OUTCOME_MS)
    for (const toast of toastsIn(answer?.data)) this.#options.hears.toast(toast)
    return answer !== undefined
  }
}

const aged = <T extends object>(item: Item<T>, clock: Clock): T & { age_s: number } => ({
  ...item.value,
  age_s: Math.max(0, clock.now() - item.at) / 1_000,
})

function decision(answer: Answer | undefined): Decision | undefined {
  return answer?.status === 200 ? decisionIn(answer.data) : undefined
}
