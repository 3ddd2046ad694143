/** Stand-ins for time, the daemon and OpenCode; every one is moved by hand, nothing sleeps. */

import type { Clock } from "../src/clock.ts"
import type { Answer, Transport } from "../src/daemon.ts"
import type { Access, Editor, Message } from "../src/editor.ts"
import type { Hello, Target, Toast } from "../src/protocol.ts"

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

export class FakeClock implements Clock {
  #now = 1_000_000
  #timers: { at: number; run: () => void }[] = []

  now = (): number => this.#now

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Time passes and nothing runs, as when a process stands still. */
  jump(ms: number): void {
    this.#now += ms
  }

  get pending(): number {
    return this.#timers.length
  }

  /** Moves time on, running what becomes due in its order. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
      await settle()
    }
    this.#now = end
  }
}

export const never = <T>(): Promise<T> => new Promise<T>(() => undefined)
export const refused = (): Promise<never> =>
  Promise.reject(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }))

export interface Call {
  method: string
  path: string
  body: unknown
}

/** A daemon: `answers` maps a path to what it says; without an entry it greets, accepts and proceeds. */
export class FakeTransport implements Transport {
  calls: Call[] = []
  answers = new Map<string, (call: Call) => Promise<Answer>>()
  serving = true
  socket = "socket-1"
  launched: (() => Promise<string>)[] = []
  launches = 0

  exchange(method: "GET" | "POST", path: string, body: unknown): Promise<Answer> {
    const call = { method, path, body }
    this.calls.push(call)
    const answer = this.answers.get(path)
    if (answer) return answer(call)
    const data =
      path === "/v1/hello" ? { protocol: 1, version: "1" } : path === "/v1/events" ? { accepted: 1 } : PROCEED
    return Promise.resolve({ status: 200, data })
  }

  says(path: string, data: unknown, status = 200): void {
    this.answers.set(path, () => Promise.resolve({ status, data }))
  }

  paths(): string[] {
    return this.calls.map((call) => call.path)
  }

  listening = (): Promise<boolean> => Promise.resolve(this.serving)
  sealed = ""
  seal = (): string => this.sealed
  identity = (): string => (this.serving ? this.socket : "")
  launch = (): Promise<string> => {
    this.launches++
    return this.launched.shift()?.() ?? Promise.resolve("")
  }
}

export const PROCEED = { action: "proceed", reason: { code: "free", text: "free to use" } }
export const HELLO: Hello = {
  protocol: 1,
  executable: "/bin/editor",
  client: "test",
  client_version: "1",
  shim_version: "1",
  directory: "/here",
  providers: [],
}

/** An editor that remembers what it was asked to do. */
export class FakeEditor implements Editor {
  tested = true
  targets = new Set(["alpha/m1", "beta/m1", "gamma/m1"])
  accesses = new Map<string, Access>()
  toasts: Toast[] = []
  logs: string[] = []
  redirected: { message: Message; target: Target; chosen: Target }[] = []
  restored: { message: string; chosen: Target }[] = []
  redirecting: () => Promise<boolean> = () => Promise.resolve(true)

  describe = (): Promise<Hello> => Promise.resolve(HELLO)
  has = (target: Target): boolean => this.targets.has(`${target.provider}/${target.model}`)
  access = (target: Target): Access | undefined => this.accesses.get(`${target.provider}/${target.model}`)
  redirect(message: Message, target: Target, chosen: Target): Promise<boolean> {
    this.redirected.push({ message, target, chosen })
    return this.redirecting()
  }
  restoring: () => boolean = () => true
  restore(_: string, message: string, chosen: Target): Promise<boolean> {
    this.restored.push({ message, chosen })
    return Promise.resolve(this.restoring())
  }
  discarded: string[] = []
  discarding: () => Promise<boolean> = () => Promise.resolve(true)
  discard(_: string, message: string): Promise<boolean> {
    this.discarded.push(message)
    return this.discarding()
  }
  final = (text: string): string => `final ${text}`
  toast(toast: Toast): void {
    this.toasts.push(toast)
  }
  log(_: string, text: string): void {
    this.logs.push(text)
  }
}

/** A stream written by hand. */
export function byHand(): {
  stream: ReadableStream<Uint8Array<ArrayBuffer>>
  write(text: string): void
  close(): void
  fail(error: unknown): void
  cancelled(): unknown
} {
  let controller!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>
  let reason: unknown
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(given) {
      controller = given
    },
    cancel(why) {
      reason = why ?? "cancelled"
    },
  })
  return {
    stream,
    write: (text) => controller.enqueue(new TextEncoder().encode(text)),
    close: () => controller.close(),
    fail: (error) => controller.error(error),
    cancelled: () => reason,
  }
}

export const data = (value: unknown): string => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`
export const chunk = (delta: object, finish: string | null = null): string =>
  data({
    id: "x",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    choices: [{ index: 0, delta, finish_reason: finish }],
  })
export const SSE = { "content-type": "text/event-stream" }
