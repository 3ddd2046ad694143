/**
 * The daemon's stream of news: connected, read, and connected again with growing pauses, for as long as the window lives.
 *
 * Nothing in here may reject or throw, whatever the daemon does; what is wrong is told in one line. No terminal and no
 * OpenCode in here.
 */

import { request, type ClientRequest } from "node:http"
import type { Clock } from "../clock.ts"
import { parseGlance, type Glance } from "./glance.ts"

const PATH = "/v1/stream?status=1"
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 15_000
/** A daemon that knows the status says it at once. */
const FIRST_STATUS_MS = 4_000
/** Its heartbeat comes every 15 s. */
const SILENCE_MS = 45_000
/** A daemon that starts, or is restarted, is back before anybody needs to know. */
const UNTOLD_MS = 3_000
const EVENT_LIMIT = 2_000_000

/** Why nothing is known, for people: in a few words, and with what helps. */
export interface Trouble {
  short: string
  long: string
}
export const AWAY: Trouble = {
  short: "sidecar away",
  long: "The rate-limit sidecar is away; start it: rate-limit-sidecar start",
}
export const TOO_OLD: Trouble = {
  short: "sidecar too old",
  long: "The rate-limit sidecar is too old for this; restart it: rate-limit-sidecar restart",
}
export const CROWDED: Trouble = {
  short: "sidecar busy",
  long: "The rate-limit sidecar has too many listeners; close a window",
}

export interface Listener {
  status(glance: Glance): void
  /** Nothing is heard, and why; said whenever it is another reason. */
  trouble(why: Trouble): void
}

export class Listening {
  readonly #socket: string
  readonly #clock: Clock
  readonly #listener: Listener
  #request: ClientRequest | undefined
  #pause = FIRST_PAUSE_MS
  #cancel: () => void = () => undefined
  #trouble: Trouble | undefined
  #heardAt: number
  #closed = false

  constructor(socket: string, clock: Clock, listener: Listener) {
    this.#socket = socket
    this.#clock = clock
    this.#listener = listener
    this.#heardAt = clock.now()
  }

  start(): void {
    if (this.#closed) return
    let heard = false
    let over = false
    const end = (why: Trouble) => {
      if (over || this.#closed) return
      over = true
      sent.destroy()
      this.#cancel()
      this.#tell(why)
      this.#again()
    }
    const wait = (ms: number, why: Trouble) => {
      this.#cancel()
      this.#cancel = this.#clock.after(ms, () => end(why))
    }
    const sent = request({ socketPath: this.#socket, path: PATH, headers: { Host: "rate-limit-sidecar" } }, (answer) => {
      if (answer.statusCode !== 200) return end(answer.statusCode === 429 ? CROWDED : TOO_OLD)
      wait(FIRST_STATUS_MS, TOO_OLD)
      const reader = new Events((name, data) => {
        if (name !== "status") return
        const glance = parseGlance(data)
        if (!glance) return end(TOO_OLD)
        heard = true
        this.#pause = FIRST_PAUSE_MS
        this.#trouble = undefined
        this.#heardAt = this.#clock.now()
        this.#listener.status(glance)
      })
      answer.setEncoding("utf8")
      answer.on("data", (text: string) => {
        if (over) return
        if (!reader.take(text)) return end(TOO_OLD)
        if (!heard) return
        this.#heardAt = this.#clock.now()
        wait(SILENCE_MS, AWAY)
      })
      answer.on("end", () => end(AWAY))
      answer.on("error", () => end(AWAY))
      answer.on("close", () => end(AWAY))
    })
    this.#request = sent
    sent.on("error", () => end(AWAY))
    wait(FIRST_STATUS_MS, AWAY)
    sent.end()
  }

  close(): void {
    this.#closed = true
    this.#cancel()
    this.#request?.destroy()
  }

  #again(): void {
    this.#cancel = this.#clock.after(this.#pause, () => this.start())
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS)
  }

  #tell(why: Trouble): void {
    if (this.#trouble === why || (why === AWAY && this.#clock.now() - this.#heardAt < UNTOLD_MS)) return
    this.#trouble = why
    this.#listener.trouble(why)
  }
}

/** Server-sent events out of pieces of text. */
export class Events {
  readonly #heard: (name: string, data: string) => void
  #rest = ""

  constructor(heard: (name: string, data: string) => void) {
    this.#heard = heard
  }

  /** Takes a piece of the stream; false when an event is beyond all measure. */
  take(text: string): boolean {
    this.#rest += text
    const events = this.#rest.split("\n\n")
    this.#rest = events.pop() ?? ""
    for (const event of events) {
      const lines = event.split("\n")
      const field = (name: string) =>
        lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2))
      const data = field("data")
      if (data.length > 0) this.#heard(field("event")[0] ?? "message", data.join("\n"))
    }
    return this.#rest.length <= EVENT_LIMIT
  }
}
