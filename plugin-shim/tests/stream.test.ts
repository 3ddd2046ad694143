import { describe, expect, test } from "bun:test"
import { begin, resume, type End, type Mend } from "../src/stream.ts"
import type { Wire } from "../src/protocol.ts"
import { byHand, chunk, data, settle } from "./fake.ts"

const ROLE = chunk({ role: "assistant", content: "" })
const WORD = chunk({ content: "word" })
const reading = async (stream: ReadableStream<Uint8Array>): Promise<string> => new Response(stream).text()

/** Begins a stream; `found` is set once it is known what it begins with. */
function beginning(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const state = {
    found: undefined as Awaited<ReturnType<typeof begin>> | undefined,
    bytes: 0,
    error: undefined as unknown,
  }
  begin(stream, "openai-chat", () => state.bytes++).then(
    (found) => (state.found = found),
    (error: unknown) => (state.error = error),
  )
  return state
}

describe("begin", () => {
  test("holds a stream until it says something, and not one event longer", async () => {
    const upstream = byHand()
    const state = beginning(upstream.stream)
    upstream.write(ROLE)
    await settle()
    expect(state.found).toBeUndefined()
    upstream.write(WORD)
    await settle()
    expect(state.found?.kind).toBe("content")
    expect(state.found?.held.length).toBe(2)
  })

  test("hears the first byte once", async () => {
    const upstream = byHand()
    const state = beginning(upstream.stream)
    await settle()
    expect(state.bytes).toBe(0)
    upstream.write(": keepalive\n\n")
    upstream.write(ROLE)
    await settle()
    expect(state.bytes).toBe(1)
  })

  test.each([
    ["first", ""],
    ["second", ROLE],
  ])("finds an error as the %s event", async (_, before) => {
    const upstream = byHand()
    const state = beginning(upstream.stream)
    upstream.write(before + data({ error: { message: "limited" } }))
    await settle()
    expect(state.found).toMatchObject({ kind: "error", data: '{"error":{"message":"limited"}}' })
  })

  test("finds that a stream ended without content", async () => {
    const upstream = byHand()
    const state = beginning(upstream.stream)
    upstream.write(ROLE + data("[DONE]"))
    upstream.close()
    await settle()
    expect(state.found?.kind).toBe("empty")
  })

  test("reads an event the stream ended in the middle of", async () => {
    const upstream = byHand()
    const state = beginning(upstream.stream)
    upstream.write('data: {"error":{"message":"cut"}}')
    upstream.close()
    await settle()
    expect(state.found?.kind).toBe("error")
  })

  test("understands events cut anywhere, with any line ending", async () => {
    for (const text of [ROLE + WORD, (ROLE + WORD).replaceAll("\n", "\r\n"), (ROLE + WORD).replaceAll("\n", "\r")]) {
      const upstream = byHand()
      const state = beginning(upstream.stream)
      for (const letter of text.slice(0, -1)) upstream.write(letter)
      upstream.write(text.slice(-1))
      upstream.close()
      await settle()
      expect(state.found?.kind).toBe("content")
    }
  })

  test("joins an event of several data lines", async () => {
    const upstream = byHand()
    const state = beginning(upstream.stream)
    upstream.write('event: x\ndata: {"error":\ndata: {"message":"two lines"}}\n\n')
    await settle()
    expect(state.found?.kind).toBe("error")
  })

  test("lets go of what is long and says nothing", async () => {
    const events = byHand()
    const many = beginning(events.stream)
    for (let i = 0; i < 65; i++) events.write(ROLE)
    await settle()
    expect(many.found?.kind).toBe("content")
    const bytes = byHand()
    const large = beginning(bytes.stream)
    bytes.write(`: ${"x".repeat(70_000)}`)
    await settle()
    expect(large.found?.kind).toBe("content")
  })

  test("rejects when the stream breaks before it said anything", async () => {
    const upstream = byHand()
    const state = beginning(upstream.stream)
    upstream.fail(new Error("reset"))
    await settle()
    expect(String(state.error)).toBe("Error: reset")
  })
})

describe("resume", () => {
  async function flowing(mend?: Mend, wire: Wire = "openai-chat") {
    const upstream = byHand()
    upstream.write(ROLE + WORD)
    const found = await begin(upstream.stream, wire, () => undefined)
    const ends: End[] = []
    return {
      upstream,
      ends,
      stream: resume(
        found,
        wire,
        (end) => ends.push(end),
        () => mend,
      ),
    }
  }
  const oneByOne = (stream: ReadableStream<Uint8Array>) => {
    const reader = stream.getReader()
    return async () => new TextDecoder().decode((await reader.read()).value)
  }

  test("passes every event on as soon as it is whole, unchanged", async () => {
    const { upstream, stream } = await flowing()
    const next = oneByOne(stream)
    expect(await next()).toBe(ROLE + WORD)
    for (const text of [WORD, ": a comment\n\n", WORD + WORD, WORD.replaceAll("\n", "\r\n")]) {
      const wanted = next()
      for (const half of [text.slice(0, 9), text.slice(9)]) {
        upstream.write(half)
        await settle()
      }
      expect(await wanted).toBe(text)
    }
  })

  test("passes on as it comes what is of no known format, and what is no event but very long", async () => {
    const unknown = await flowing(undefined, "unknown")
    const next = oneByOne(unknown.stream)
    await next()
    unknown.upstream.write("half an event")
    expect(await next()).toBe("half an event")
    const { upstream, stream } = await flowing()
    const long = oneByOne(stream)
    await long()
    upstream.write("x".repeat(1_100_000))
    expect((await long()).length).toBe(1_100_000)
  })

  test("gives an answer byte for byte, wherever it is cut", async () => {
    const answer = ROLE + chunk({ content: "äöü \\n\\n €" }).repeat(3) + chunk({}, "stop") + data("[DONE]")
    for (const text of [answer, answer.replaceAll("\n", "\r\n"), answer.replaceAll("\n", "\r")]) {
      const bytes = new TextEncoder().encode(text)
      for (const size of [1, 2, 3, 7, 64, 10_000]) {
        const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
          start(controller) {
            for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size))
            controller.close()
          },
        })
        const ends: End[] = []
        const found = await begin(source, "openai-chat", () => undefined)
        expect(await reading(resume(found, "openai-chat", (end) => ends.push(end)))).toBe(text)
        expect(ends).toEqual([{ ended: "ok" }])
      }
    }
  })

  test("reads no more than its reader asks for", async () => {
    let pulled = 0
    const source = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull(controller) {
          pulled++
          controller.enqueue(new TextEncoder().encode(WORD))
        },
      },
      { highWaterMark: 0 },
    )
    const found = await begin(source, "openai-chat", () => undefined)
    const reader = resume(found, "openai-chat", () => undefined).getReader()
    await reader.read()
    await settle()
    expect(pulled).toBe(1)
    await reader.read()
    await settle()
    expect(pulled).toBe(2)
  })

  test("tells once that it ended well", async () => {
    const { upstream, ends, stream } = await flowing()
    upstream.write(data("[DONE]"))
    upstream.close()
    expect(await reading(stream)).toBe(ROLE + WORD + data("[DONE]"))
    expect(ends).toEqual([{ ended: "ok" }])
  })

  test("passes a break on and tells of it", async () => {
    const { upstream, ends, stream } = await flowing()
    const error = new Error("reset")
    upstream.fail(error)
    expect(await reading(stream).catch((caught: unknown) => caught)).toBe(error)
    expect(ends).toEqual([{ ended: "failed", error }])
  })

  test("passes a cancellation on and tells of it", async () => {
    const { upstream, ends, stream } = await flowing()
    await stream.cancel("enough")
    expect(upstream.cancelled()).toBe("enough")
    expect(ends).toEqual([{ ended: "aborted" }])
  })

  test("notices that an answer broke off with an error event", async () => {
    const { upstream, ends, stream } = await flowing()
    const text = WORD.repeat(100) + data({ error: { message: "overloaded" } }) + data("[DONE]")
    upstream.write(text)
    upstream.close()
    expect(await reading(stream)).toBe(ROLE + WORD + text)
    expect(ends).toEqual([{ ended: "failed", data: '{"error":{"message":"overloaded"}}' }])
  })

  test("notices that an answer ended before it was complete", async () => {
    const { upstream, ends, stream } = await flowing()
    upstream.write(WORD)
    upstream.close()
    expect(await reading(stream)).toBe(ROLE + WORD + WORD)
    expect(ends.map((end) => [end.ended, String(end.error)])).toEqual([
      ["failed", "Error: connection closed before the stream was complete"],
    ])
  })

  describe("mends what breaks off:", () => {
    const error = data({ error: { message: "overloaded" } })

    test("an error event, and what comes with it, is not passed on", async () => {
      const { upstream, ends, stream } = await flowing("goes-on")
      upstream.write(WORD + error + WORD)
      expect(await reading(stream)).toBe(ROLE + WORD + WORD)
      expect(ends).toEqual([{ ended: "failed", data: '{"error":{"message":"overloaded"}}' }])
      await settle()
      expect(upstream.cancelled()).toBe("cancelled")
    })

    test("an error event right after the first content", async () => {
      const upstream = byHand()
      upstream.write(ROLE + WORD + error)
      const found = await begin(upstream.stream, "openai-chat", () => undefined)
      const mended = resume(
        found,
        "openai-chat",
        () => undefined,
        () => "goes-on",
      )
      expect(await reading(mended)).toBe(ROLE + WORD)
    })

    test("a break in the middle of an event", async () => {
      const { upstream, ends, stream } = await flowing("goes-on")
      const next = oneByOne(stream)
      await next()
      upstream.write(WORD.slice(0, 9))
      await settle()
      const broken = new Error("reset")
      upstream.fail(broken)
      expect(await next()).toBe("")
      expect(ends).toEqual([{ ended: "failed", error: broken }])
    })

    test("an early end", async () => {
      const { upstream, ends, stream } = await flowing("goes-on")
      upstream.close()
      expect(await reading(stream)).toBe(ROLE + WORD)
      expect(ends).toMatchObject([{ ended: "failed" }])
    })

    test("with an end that stops the turn, where it happened too often", async () => {
      const { upstream, stream } = await flowing("stops")
      upstream.write(error)
      expect(await reading(stream)).toContain('"finish_reason":"length"')
    })
  })

  test("looks at nothing in a format nobody knows", async () => {
    const upstream = byHand()
    upstream.write(data({ error: "?" }))
    upstream.close()
    const found = await begin(upstream.stream, "unknown", () => undefined)
    const ends: End[] = []
    await reading(resume(found, "unknown", (end) => ends.push(end)))
    expect(ends).toEqual([{ ended: "ok" }])
  })
})
