/**
 * Time, as something that can be handed in: every wait and every budget of the shim goes through a `Clock`.
 *
 * No other file may call `setTimeout` or `Date.now`: tests move time by hand, and no timer of ours may keep OpenCode's
 * process alive.
 */

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Runs something once after `ms`; gives what cancels it. */
  after(ms: number, run: () => void): () => void
}

/** A timer this late means that the event loop was busy: what arrived meanwhile is looked at before time is up. */
const LATE_MS = 20
const GRACE_MS = 50

export const realClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const due = Date.now() + ms
    let timer = setTimeout(() => {
      if (Date.now() - due < LATE_MS) return run()
      timer = setTimeout(run, GRACE_MS)
      timer.unref()
    }, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Waits `ms`, or less when the signal is aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel()
      signal?.removeEventListener("abort", done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    if (signal?.aborted) done()
    else signal?.addEventListener("abort", done)
  })
}

/** A budget is waited for in this many parts, so that a process that stood still has lost one of them, not all. */
const PARTS = 10

/** Waits for `promise`, but no longer than `ms` of time in which this process was able to run; then undefined. */
export async function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | undefined> {
  const over = new AbortController()
  const spent = async () => {
    for (let part = 0; part < PARTS && !over.signal.aborted; part++)
      await sleep(clock, Math.max(0, ms) / PARTS, over.signal)
    return undefined
  }
  try {
    return await Promise.race([promise, spent()])
  } finally {
    over.abort()
  }
}
