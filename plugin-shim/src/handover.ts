/**
 * The handover: moving a running step to another model without the conversation noticing.
 *
 * OpenCode's loop reads the model of the user message anew before every step. So the message is stored again in place,
 * asking for the new model, and the current request is answered with an empty step (`stub.ts`): OpenCode goes on by
 * itself, at the new model. When the turn is over the message gets back what the user chose, and the empty step goes.
 * Where to go is never decided here.
 */

import type { Clock } from "./clock.ts"
import type { Session, Tagged } from "./context.ts"
import type { Editor } from "./editor.ts"
import { written, type Target } from "./protocol.ts"

/** Handovers per turn at the most; whatever the daemon says, OpenCode must not go round in circles. */
const TIMES = 20
const REST_MS = 1_000

export class Handovers {
  readonly #editor: Editor
  readonly #clock: Clock
  /** The last handover of each session: one at a time. */
  readonly #queue = new Map<string, Promise<unknown>>()

  constructor(editor: Editor, clock: Clock) {
    this.#editor = editor
    this.#clock = clock
  }

  /** Moves the turn of a request; false when that is not possible and the request must go on as it is. */
  move(session: Session, from: Tagged, to: Target): Promise<boolean> {
    return this.#inTurn(session.id, async () => {
      const move = session.moved(from.message.id, to, session.chosen ?? from.target)
      move.times++
      const done =
        move.times <= TIMES && this.#editor.has(to) && (await this.#editor.redirect(from.message, to, move.chosen))
      if (done) return true
      session.moves.delete(from.message.id)
      this.#editor.log("error", `could not hand ${written(from.target)} over to ${written(to)}`)
      return false
    })
  }

  /** The turn is over. */
  rest(session: Session): void {
    if (session.moves.size === 0 && session.empties.size === 0) return
    const restore = () => {
      if (!session.busy) void this.restore(session)
    }
    // Undoing a running turn stops it first, and must not find us at work.
    if (session.stopped) this.#clock.after(REST_MS, restore)
    else restore()
  }

  /** Puts back what the user chose, and takes away the empty steps that got the turn elsewhere. */
  restore(session: Session): Promise<void> {
    const moves = [...session.moves]
    const empties = [...session.empties]
    session.moves.clear()
    session.empties.clear()
    return this.#inTurn(session.id, async () => {
      for (const [turn, move] of moves) {
        if (!(await this.#editor.restore(session.id, turn, move.chosen))) empties.push(turn)
      }
      for (const empty of empties) {
        if (!(await this.#editor.discard(session.id, empty))) session.emptied(empty)
      }
    })
  }

  #inTurn<T>(session: string, work: () => Promise<T>): Promise<T> {
    const done = (this.#queue.get(session) ?? Promise.resolve()).then(work)
    const settled = done
      .catch(() => undefined)
      .then(() => {
        if (this.#queue.get(session) === settled) this.#queue.delete(session)
      })
    this.#queue.set(session, settled)
    return done
  }
}
