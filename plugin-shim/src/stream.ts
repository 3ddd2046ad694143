/**
 * Streamed answers: looked at until the first content, then passed on event by event.
 *
 * A stream is held back only while it has said nothing yet, so that one which fails or ends there can still be answered
 * by another provider; from its first content on every event is passed on as soon as it is whole, unchanged. One that
 * breaks off there can be mended: OpenCode would ask for all of it again, with the text and the tools of the first half.
 */

import type { Wire } from "./protocol.ts"
import { cutShort } from "./stub.ts"
import { meaning, says } from "./wire.ts"

const HELD_BYTES = 65_536
const HELD_EVENTS = 64
/** An event longer than this is passed on in pieces, and errors are no longer looked for. */
const EVENT_BYTES = 1_048_576

export type Bytes = Uint8Array<ArrayBuffer>
type Reader = ReadableStreamDefaultReader<Bytes>

/** What a stream began with; `held` are the bytes read so far, to be delivered first. */
export type Beginning =
  | { kind: "content"; held: Bytes[]; reader: Reader }
  | { kind: "error"; held: Bytes[]; reader: Reader; data: string }
  | { kind: "empty"; held: Bytes[]; reader: Reader }

/** Splits server-sent events; gives the data of those a piece of text completes. */
class Events {
  #rest = ""

  push(text: string): string[] {
    const blocks = (this.#rest + text).split(/\r\n\r\n|\n\n|\r\r/)
    this.#rest = blocks.pop() ?? ""
    return blocks.flatMap(dataOf)
  }

  /** Gives the data of an event the stream ended in. */
  end(): string[] {
    return dataOf(this.#rest)
  }
}

function dataOf(block: string): string[] {
  const lines = block.split(/\r\n|\n|\r/).filter((line) => line.startsWith("data:"))
  return lines.length > 0 ? [lines.map((line) => line.slice(5).trimStart()).join("\n")] : []
}

/** Reads until the stream has said something, failed or ended; rejects when reading does. `onByte` hears the first byte. */
export async function begin(body: ReadableStream<Bytes>, wire: Wire, onByte: () => void): Promise<Beginning> {
  const reader = body.getReader()
  const held: Bytes[] = []
  const events = new Events()
  const decoder = new TextDecoder()
  let bytes = 0
  let seen = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (value && held.push(value) === 1) onByte()
    bytes += value?.length ?? 0
    const complete = done ? events.end() : events.push(decoder.decode(value, { stream: true }))
    for (const data of complete) {
      const what = meaning(wire, data)
      if (what === "content") return { kind: "content", held, reader }
      if (what === "error") return { kind: "error", held, reader, data }
    }
    if (done) return { kind: "empty", held, reader }
    seen += complete.length
    if (bytes > HELD_BYTES || seen > HELD_EVENTS) return { kind: "content", held, reader }
  }
}

/** How a stream that was being passed on ended; `error` is what broke it, `data` the error event it ended with. */
export interface End {
  ended: "ok" | "failed" | "aborted"
  error?: unknown
  data?: string
}

/** How a stream that breaks off is ended, so that OpenCode takes its next step or ends the turn. */
export type Mend = "goes-on" | "stops"

/** What broke a stream that ends too soon; the words are those the daemon reads as a lost connection. */
const CUT = new Error("connection closed before the stream was complete")

/**
 * Passes a stream on: what was held at once, the rest as it comes, of a wire format we know in whole events. `ended` is
 * called once. `mend` says how to end what breaks off; without it, it breaks for the reader too.
 */
export function resume(
  from: Pick<Beginning, "held" | "reader">,
  wire: Wire,
  ended: (end: End) => void,
  mend: () => Mend | undefined = () => undefined,
): ReadableStream<Bytes> {
  const whole = wire === "unknown" ? undefined : new Whole()
  let complete = whole === undefined
  let open = true
  const close = (end: End) => {
    if (open) ended(end)
    open = false
  }
  const finish = (controller: ReadableStreamDefaultController<Bytes>, end: End, how?: Mend) => {
    if (how === "stops") controller.enqueue(new TextEncoder().encode(cutShort(wire)))
    controller.close()
    close(end)
  }
  /** Passes on what is whole; gives whether that was the last of it, because an error stood in it. */
  const pass = (controller: ReadableStreamDefaultController<Bytes>, bytes: Bytes): boolean => {
    const text = whole ? new TextDecoder().decode(bytes) : ""
    complete ||= says(wire, "end", text)
    const error = says(wire, "error", text) ? errorIn(wire, text) : undefined
    const how = error && mend()
    const good = error && how ? new TextEncoder().encode(error.before) : bytes
    if (good.length > 0) controller.enqueue(good)
    if (!error) return false
    finish(controller, { ended: "failed", data: error.data }, how)
    void from.reader.cancel().catch(() => undefined)
    return true
  }
  return new ReadableStream<Bytes>(
    {
      start(controller) {
        for (const chunk of from.held) if (pass(controller, whole?.push(chunk) ?? chunk)) return
      },
      async pull(controller) {
        try {
          for (;;) {
            const { done, value } = await from.reader.read()
            const bytes = done ? (whole?.end() ?? new Uint8Array()) : (whole?.push(value) ?? value)
            if (pass(controller, bytes)) return
            if (done && complete) return finish(controller, { ended: "ok" })
            if (done) return finish(controller, { ended: "failed", error: CUT }, mend())
            // Nothing is asked for again until something was passed on.
            if (bytes.length > 0) return
          }
        } catch (error) {
          const how = mend()
          if (how) return finish(controller, { ended: "failed", error }, how)
          controller.error(error)
          close({ ended: "failed", error })
        }
      },
      cancel(reason) {
        close({ ended: "aborted" })
        return from.reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}

/** Gives the first error event in a text of whole events, and what stands before it. */
function errorIn(wire: Wire, text: string): { before: string; data: string } | undefined {
  let before = ""
  for (const block of text.split(/(?<=\r\n\r\n|\n\n|\r\r)/)) {
    const data = dataOf(block.trimEnd())[0]
    if (data !== undefined && meaning(wire, data) === "error") return { before, data }
    before += block
  }
  return undefined
}

/** Cuts a stream of bytes where events end. */
class Whole {
  #rest: Bytes = new Uint8Array()

  /** Gives everything up to the end of the last whole event. */
  push(chunk: Bytes): Bytes {
    const bytes = this.#rest.length > 0 ? joined(this.#rest, chunk) : chunk
    const end = bytes.length > EVENT_BYTES ? bytes.length : endOfEvents(bytes)
    this.#rest = bytes.subarray(end)
    return bytes.subarray(0, end)
  }

  /** Gives what is left when the stream is over. */
  end(): Bytes {
    const rest = this.#rest
    this.#rest = new Uint8Array()
    return rest
  }
}

function joined(a: Bytes, b: Bytes): Bytes {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

const LF = 10
const CR = 13

/** Gives the position after the last empty line, 0 when there is none. */
function endOfEvents(bytes: Bytes): number {
  for (let i = bytes.length - 1; i > 0; i--) {
    const [last, before] = [bytes[i], bytes[i - 1]]
    if (last === LF && (before === LF || (before === CR && bytes[i - 2] === LF))) return i + 1
    if (last === CR && before === CR) return i + 1
  }
  return 0
}
