/**
 * What is known of sessions, their turns, and the requests on their way: bounded, in memory, for one OpenCode instance.
 *
 * Bookkeeping only: it hears what happens and is asked; it calls nobody and decides nothing.
 */

import type { Message } from "./editor.ts"
import { same, type Target, type Toast } from "./protocol.ts"

const SESSIONS = 500
const TURNS = 20
const EMPTIES = 100

/** A turn that was moved away from what the user chose. */
export interface Move {
  to: Target
  chosen: Target
  /** Handovers so far: nothing but a guard against going round in circles. */
  times: number
}

export class Session {
  readonly id: string
  parent: string | undefined
  /** A conversation without a message yet. */
  fresh = false
  /** A loop is running. */
  busy = false
  /** The user stopped the latest turn. */
  stopped = false
  /** What the user chose, with the latest message. */
  chosen: Target | undefined
  /** Tokens the conversation holds, by the last answer's count. */
  tokens = 0
  readonly moves = new Map<string, Move>()
  /** The empty steps our handovers left in the conversation. */
  readonly empties = new Set<string>()
  /** Turns whose latest answer broke off after it had begun, and how often that was. */
  readonly broken = new Map<string, number>()
  #arrival: { at: Target; toast: Toast } | undefined

  constructor(id: string) {
    this.id = id
  }

  /** Notes where a turn goes. */
  moved(turn: string, to: Target, chosen: Target): Move {
    const known = this.moves.get(turn)
    const move = { to, chosen: known?.chosen ?? chosen, times: known?.times ?? 0 }
    this.moves.set(turn, move)
    trim(this.moves, TURNS)
    return move
  }

  /** Notes an empty step, to be taken away when the turn is over. */
  emptied(message: string): void {
    this.empties.add(message)
    trim(this.empties, EMPTIES)
  }

  /** An answer of a turn is over: whole, or broken off. */
  answered(turn: string, whole: boolean): void {
    const times = this.broken.get(turn) ?? 0
    this.broken.delete(turn)
    if (!whole) this.broken.set(turn, times + 1)
    trim(this.broken, TURNS)
  }

  /** Keeps a toast until the first content of `at` is there. */
  expect(at: Target, toast: Toast): void {
    this.#arrival = { at, toast }
  }

  /** Content of `from` is there: gives the toast that waited for it. */
  arrived(from: Target): Toast | undefined {
    const waiting = this.#arrival
    if (!waiting || !same(waiting.at, from)) return undefined
    this.#arrival = undefined
    return waiting.toast
  }
}

export class Sessions {
  readonly #sessions = new Map<string, Session>()

  /** Gives a session, new or known; the least recently used one is forgotten when there are too many. */
  at(id: string): Session {
    const session = this.#sessions.get(id) ?? new Session(id)
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    trim(this.#sessions, SESSIONS)
    return session
  }

  forget(id: string): void {
    this.#sessions.delete(id)
  }

  get size(): number {
    return this.#sessions.size
  }
}

/** What `chat.headers` told of the request that carries the tag. */
export interface Tagged {
  session: string
  agent: string
  target: Target
  message: Message
}

function trim(kept: Map<string, unknown> | Set<string>, limit: number): void {
  for (const key of kept.keys()) {
    if (kept.size <= limit) return
    kept.delete(key)
  }
}
