import { describe, expect, test } from "bun:test"
import { begin, resume, type End } from "../src/stream.ts"
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
  async function flowing() {
    const upstream = byHand()
    upstream.write(ROLE + WORD)
    const found = await begin(upstream.stream, "openai-chat", () => undefined)
    const ends: End[] = []
    return { upstream, ends, stream: resume(found, "openai-chat", (end) => ends.push(end)) }
  }

  test("passes every chunk on as it comes, unchanged, holding none back", async () => {
    const { upstream, stream } = await flowing()
    const reader = stream.getReader()
    const next = async () => new TextDecoder().decode((await reader.read()).value)
    expect(await next()).toBe(ROLE + WORD)
    for (const text of [WORD, "anything, not even an event", WORD]) {
      const wanted = next()
      upstream.write(text)
      expect(await wanted).toBe(text)
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
    upstream.write(WORD.repeat(100) + data({ error: { message: "overloaded" } }) + data("[DONE]"))
    upstream.close()
    await reading(stream)
    expect(ends).toEqual([{ ended: "failed", data: '{"error":{"message":"overloaded"}}' }])
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
