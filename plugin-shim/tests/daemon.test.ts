import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { socketPath, startCommand, UnixTransport } from "../src/daemon.ts"

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "shim-"))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function program(path: string, script = "exit 0"): string {
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

describe("the socket", () => {
  const table: [Record<string, string>, string][] = [
    [{ RATE_LIMIT_SOCKET: "/x/y.sock", XDG_STATE_HOME: "/state", HOME: "/h" }, "/x/y.sock"],
    [{ RATE_LIMIT_SOCKET: "", XDG_STATE_HOME: "/state", HOME: "/h" }, "/state/rate-limit-sidecar/run/sidecar.sock"],
    [{ XDG_STATE_HOME: "relative", HOME: "/h" }, "/h/.local/state/rate-limit-sidecar/run/sidecar.sock"],
    [{ HOME: "/h" }, "/h/.local/state/rate-limit-sidecar/run/sidecar.sock"],
  ]
  test.each(table)("of %j is %s", (env, path) => expect(socketPath(env)).toBe(path))
})

describe("the command", () => {
  test("is the option, else the environment's", () => {
    expect(startCommand(["uv", "run", "x"], { RATE_LIMIT_SIDECAR_COMMAND: "other" })).toEqual([
      "uv",
      "run",
      "x",
      "start",
    ])
    expect(startCommand("uv run x", {})).toEqual(["uv", "run", "x", "start"])
    expect(startCommand(undefined, { RATE_LIMIT_SIDECAR_COMMAND: "/opt/x" })).toEqual(["/opt/x", "start"])
  })

  test("may have a blank in its path", () => {
    const file = program(join(dir, "my sidecar"))
    expect(startCommand(file, {})).toEqual([file, "start"])
  })

  test("is looked for on PATH, then in ~/.local/bin; what cannot be run does not count", () => {
    const env = { PATH: `${dir}:relative`, HOME: join(dir, "home") }
    expect(startCommand(undefined, env)).toBeUndefined()
    writeFileSync(join(dir, "rate-limit-sidecar"), "")
    expect(startCommand(undefined, env)).toBeUndefined()
    mkdirSync(join(dir, "home/.local/bin"), { recursive: true })
    const home = program(join(dir, "home/.local/bin/rate-limit-sidecar"))
    expect(startCommand(undefined, env)).toEqual([home, "start"])
    const path = program(join(dir, "rate-limit-sidecar"))
    expect(startCommand(undefined, env)).toEqual([path, "start"])
  })

  test("tells by its end how the start went", async () => {
    const at = (script: string) => new UnixTransport("/none", [program(join(dir, "x"), script), "start"]).launch()
    expect(await at("exit 0")).toBe("")
    expect(await at("echo 'line 3: no such key' >&2; exit 2")).toBe("line 3: no such key")
    expect(await at("exit 3")).toContain("ended with 3")
    expect(await new UnixTransport("/none", [join(dir, "missing"), "start"]).launch()).toContain("missing")
    expect(await new UnixTransport("/none", undefined).launch()).toContain("not installed")
  })
})

describe("an exchange", () => {
  let server: Server
  let seen: { method: string | undefined; url: string | undefined; headers: IncomingHttpHeaders; body: string }[]
  let answer: { status: number; body: string } | undefined
  let socket: string

  beforeEach(async () => {
    seen = []
    answer = { status: 200, body: '{"ok":1}' }
    socket = join(dir, "d.sock")
    server = createServer((request, response) => {
      let body = ""
      request.on("data", (chunk) => (body += String(chunk)))
      request.on("end", () => {
        seen.push({ method: request.method, url: request.url, headers: request.headers, body })
        if (answer) response.writeHead(answer.status).end(answer.body)
      })
    })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
  })
  afterEach(() => server.close())
  const exchange = (body: unknown, signal = new AbortController().signal) =>
    new UnixTransport(socket, undefined).exchange(body === undefined ? "GET" : "POST", "/v1/x", body, signal)

  test("is JSON over the socket, past the gate", async () => {
    expect(await exchange({ text: "ü" })).toEqual({ status: 200, data: { ok: 1 } })
    expect(await exchange(undefined)).toEqual({ status: 200, data: { ok: 1 } })
    expect(seen.map(({ method, url, body }) => [method, url, body])).toEqual([
      ["POST", "/v1/x", '{"text":"ü"}'],
      ["GET", "/v1/x", ""],
    ])
    for (const { headers } of seen) {
      expect(headers.host).toBe("rate-limit-sidecar")
      expect(headers.origin).toBeUndefined()
      expect(headers.referer).toBeUndefined()
    }
  })

  test("gives refusals too", async () => {
    answer = { status: 400, body: '{"error":"no"}' }
    expect(await exchange({})).toEqual({ status: 400, data: { error: "no" } })
    answer = { status: 204, body: "" }
    expect(await exchange({})).toEqual({ status: 204, data: null })
  })

  test("rejects what is no JSON, and what takes too long", async () => {
    answer = { status: 200, body: "<html>" }
    expect(await exchange({}).catch(() => "rejected")).toBe("rejected")
    answer = undefined
    const stop = new AbortController()
    const waiting = exchange({}, stop.signal).catch(() => "rejected")
    stop.abort()
    expect(await waiting).toBe("rejected")
  })

  test("rejects what is too long, announced or not", async () => {
    answer = { status: 200, body: `"${"x".repeat(4_000_000)}"` }
    expect(String(await exchange({}).catch((error: unknown) => error))).toContain("too long")
    server.removeAllListeners("request")
    server.on("request", (_, response) => {
      response.write('"')
      response.write("x".repeat(3_000_000))
      response.end("x".repeat(3_000_000))
    })
    expect(String(await exchange({}).catch((error: unknown) => error))).toContain("too long")
  })

  test("knows who listens, and one socket from the next", async () => {
    const transport = new UnixTransport(socket, undefined)
    expect(await transport.listening()).toBe(true)
    const first = transport.identity()
    expect(first).not.toBe("")
    const other = new UnixTransport(join(dir, "none.sock"), undefined)
    expect(await other.listening()).toBe(false)
    expect(other.identity()).toBe("")
    const error = await other
      .exchange("GET", "/", undefined, new AbortController().signal)
      .catch((caught: unknown) => caught)
    expect(["ENOENT", "FailedToOpenSocket"]).toContain((error as { code: string }).code)
  })
})
