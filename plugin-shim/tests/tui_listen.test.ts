import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server, type ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { AWAY, CROWDED, Events, Listening, TOO_OLD } from "../src/tui/listen.ts"
import { FakeClock } from "./fake.ts"

/** A daemon on a real socket; time is moved by hand. */
let dir: string
let socket: string
let server: Server | undefined
let streams: ServerResponse[]
let clock: FakeClock
let heard: string[]
let listening: Listening
const picture = (current: string) => JSON.stringify({ at: 1, current, picked: null, sessions: {}, providers: [] })
const push = (current: string) => streams.at(-1)?.write(`event: status\ndata: ${picture(current)}\n\n`)

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "shim-"))
  socket = join(dir, "d.sock")
  streams = []
  heard = []
  clock = new FakeClock()
  listening = new Listening(socket, clock, {
    status: (glance) => heard.push(glance.current ?? ""),
    trouble: (why) => heard.push(why.short),
  })
})
afterEach(async () => {
  listening.close()
  await stop()
  rmSync(dir, { recursive: true, force: true })
})

async function serve(answer: (response: ServerResponse) => void): Promise<void> {
  server = createServer((request, response) => {
    expect(request.url).toBe("/v1/stream?status=1")
    streams.push(response)
    answer(response)
  })
  await new Promise<void>((done) => server?.listen(socket, done))
}
async function stop(): Promise<void> {
  for (const stream of streams) stream.destroy()
  const closing = server
  server = undefined
  if (closing) await new Promise((done) => closing.close(done))
}
const good = (response: ServerResponse) => {
  response.writeHead(200, { "Content-Type": "text/event-stream" })
  response.write(": connected\n\n")
  response.write(`event: status\ndata: ${picture("first")}\n\n`)
}
async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(done()).toBe(true)
}
/** Lets the clock and the real socket go on together. */
async function passing(done: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !done(); i++) {
    await clock.advance(50)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(done()).toBe(true)
}

test("every status is handed on, other news is not", async () => {
  await serve(good)
  listening.start()
  await until(() => heard.length === 1)
  streams[0]?.write("event: notice\ndata: {}\n\n: still here\n\n")
  push("second")
  await until(() => heard.length === 2)
  expect(heard).toEqual(["first", "second"])
})

test("a daemon that was restarted is found again, and nobody need know", async () => {
  await serve(good)
  listening.start()
  await until(() => heard.length === 1)
  await stop()
  await serve(good)
  await passing(() => heard.length === 2)
  expect(heard).toEqual(["first", "first"])
})

test("a daemon that stays away is told once, and asked for less and less often", async () => {
  listening.start()
  await passing(() => heard.length === 1)
  for (let i = 0; i < 60; i++) await clock.advance(500)
  expect(heard).toEqual([AWAY.short])
  await serve(good)
  await passing(() => heard.length === 2)
  expect(heard).toEqual([AWAY.short, "first"])
})

test("a daemon that knows no status is too old, and is tried again", async () => {
  await serve((response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" })
    response.write(": connected\n\n")
  })
  listening.start()
  await until(() => streams.length === 1)
  await clock.advance(4_000)
  expect(heard).toEqual([TOO_OLD.short])
  await clock.advance(1_000)
  await until(() => streams.length === 2)
})

test.each([
  [404, TOO_OLD],
  [429, CROWDED],
])("HTTP %d is told", async (status, trouble) => {
  await serve((response) => response.writeHead(status).end("{}"))
  listening.start()
  await until(() => heard.length === 1)
  expect(heard).toEqual([trouble.short])
})

test("a picture of another form is a daemon of another time", async () => {
  await serve(good)
  listening.start()
  await until(() => heard.length === 1)
  streams[0]?.write('event: status\ndata: {"providers": 5}\n\n')
  await until(() => heard.length === 2)
  expect(heard[1]).toBe(TOO_OLD.short)
})

test("a stream that fell silent is opened anew", async () => {
  await serve(good)
  listening.start()
  await until(() => heard.length === 1)
  await clock.advance(46_000)
  await until(() => streams.length === 2)
})

test("closed is closed", async () => {
  await serve(good)
  listening.start()
  await until(() => heard.length === 1)
  listening.close()
  await until(() => clock.pending === 0)
  listening.start()
  expect(clock.pending).toBe(0)
})

test("events come whole out of any pieces, and an endless one ends it", () => {
  const text = ": hello\n\nevent: status\ndata: 1\n\ndata: 2\ndata: 3\n\nevent: x\n\n"
  for (let size = 1; size < text.length; size++) {
    const found: string[] = []
    const events = new Events((name, data) => found.push(`${name}=${data}`))
    for (let at = 0; at < text.length; at += size) expect(events.take(text.slice(at, at + size))).toBe(true)
    expect(found).toEqual(["status=1", "message=2\n3"])
  }
  expect(new Events(() => undefined).take("x".repeat(2_000_001))).toBe(false)
})
