/**
 * Streamed answers: looked at until the first content, then passed on byte by byte.
 *
 * A stream is held back only while it has said nothing yet, so that one which fails or ends there can still be answered
 * by another provider; from its first content on nothing is held, parsed or copied except a short tail.
 */

import type { Wire } from "./protocol.ts"
import { meaning } from "./wire.ts"

const HELD_BYTES = 65_536
const HELD_EVENTS = 64
const TAIL_CHARS = 8_192

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

/** Passes a stream on: what was held at once, the rest as it comes. `ended` is called once. */
export function resume(
  from: Pick<Beginning, "held" | "reader">,
  wire: Wire,
  ended: (end: End) => void,
): ReadableStream<Bytes> {
  const decoder = new TextDecoder()
  let tail = from.held.map((chunk) => decoder.decode(chunk, { stream: true })).join("")
  let open = true
  const close = (end: End) => {
    if (open) ended(end)
    open = false
  }
  return new ReadableStream<Bytes>(
    {
      start(controller) {
        for (const chunk of from.held) controller.enqueue(chunk)
      },
      async pull(controller) {
        try {
          const { done, value } = await from.reader.read()
          if (done) {
            controller.close()
            close(ending(wire, tail))
            return
          }
          controller.enqueue(value)
          tail = (tail + decoder.decode(value, { stream: true })).slice(-TAIL_CHARS)
        } catch (error) {
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

/** A stream may break off with an error event after it had begun to answer. */
function ending(wire: Wire, tail: string): End {
  if (wire === "unknown") return { ended: "ok" }
  const events = new Events()
  const last = [...events.push(tail), ...events.end()].slice(-2).find((data) => meaning(wire, data) === "error")
  return last === undefined ? { ended: "ok" } : { ended: "failed", data: last }
}
