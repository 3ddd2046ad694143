/**
 * A bounded queue of reports on their way to the daemon: in order, in batches, kept while it is away.
 *
 * Knows neither the protocol nor the socket. When it is full the oldest report goes and is counted; it never throws and
 * never makes its caller wait.
 */

import type { Clock } from "./clock.ts"

export interface Item<T> {
  /** When it was put in, in milliseconds since the epoch. */
  at: number
  value: T
}

export interface OutboxOptions<T> {
  clock: Clock
  /** Most items kept. */
  limit: number
  /** Most items per delivery; that many waiting are sent without delay. */
  batch: number
  delayMs: number
  /** Wait before the next try after a delivery failed. */
  retryMs: number
  /** Delivers; false (or a rejection) keeps the items for later. */
  send: (items: Item<T>[]) => Promise<boolean>
}

export class Outbox<T> {
  readonly #options: OutboxOptions<T>
  #items: Item<T>[] = []
  #cancel: (() => void) | undefined
  #stalled = false
  #draining: Promise<void> | undefined
  /** How many reports were lost because the queue was full. */
  dropped = 0

  constructor(options: OutboxOptions<T>) {
    this.#options = options
  }

  get size(): number {
    return this.#items.length
  }

  add(value: T): void {
    this.#items.push({ at: this.#options.clock.now(), value })
    if (this.#items.length > this.#options.limit) {
      this.#items.shift()
      this.dropped++
    }
    if (this.#items.length >= this.#options.batch && !this.#stalled) void this.flush()
    else this.#schedule(this.#options.delayMs)
  }

  /** Sends what is there, until nothing is left or a delivery fails. */
  flush(): Promise<void> {
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined
    })
    return this.#draining
  }

  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  async #drain(): Promise<void> {
    this.close()
    while (this.#items.length > 0) {
      const batch = this.#items.slice(0, this.#options.batch)
      const delivered = await this.#options.send(batch).catch(() => false)
      this.#stalled = !delivered
      if (!delivered) {
        this.#schedule(this.#options.retryMs)
        return
      }
      const sent = new Set(batch)
      this.#items = this.#items.filter((item) => !sent.has(item))
    }
  }

  #schedule(ms: number): void {
    this.#cancel ??= this.#options.clock.after(ms, () => {
      this.#cancel = undefined
      void this.flush()
    })
  }
}
