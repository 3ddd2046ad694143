/**
 * Reaching the daemon: where its socket is, one exchange over it, and the command that starts it.
 *
 * The only file that touches the socket, the file system and child processes. It keeps no state and takes no decision:
 * when to ask, how long to wait and what to do without an answer is `sidecar.ts`.
 */

import { spawn } from "node:child_process"
import { accessSync, constants, readFileSync, statSync } from "node:fs"
import { createConnection } from "node:net"
import { homedir } from "node:os"
import { delimiter, isAbsolute, join } from "node:path"

const HOST = "rate-limit-sidecar"
const COMMAND = "rate-limit-sidecar"
const ANSWER_LIMIT = 4_000_000
const JSON_BODY = { "Content-Type": "application/json" }

type Env = Record<string, string | undefined>

/** Gives the socket's path, by the rules of `sidecar/paths.py`. */
export function socketPath(env: Env): string {
  if (env["RATE_LIMIT_SOCKET"]) return env["RATE_LIMIT_SOCKET"]
  const state = env["XDG_STATE_HOME"] ?? ""
  const base = state.startsWith("/") ? state : join(env["HOME"] || homedir(), ".local/state")
  return join(base, COMMAND, "run", "sidecar.sock")
}

const isFile = (path: string, mode: number): boolean => {
  try {
    accessSync(path, mode)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Gives the words of the command that starts the daemon; undefined when it is not installed. */
export function startCommand(option: unknown, env: Env): string[] | undefined {
  const wish = option ?? env["RATE_LIMIT_SIDECAR_COMMAND"]
  if (Array.isArray(wish) && wish.length > 0) return [...wish.map(String), "start"]
  if (typeof wish === "string" && wish.trim()) {
    const words = isFile(wish, constants.F_OK) ? [wish] : wish.trim().split(/\s+/)
    return [...words, "start"]
  }
  const places = [...(env["PATH"] ?? "").split(delimiter), join(env["HOME"] || homedir(), ".local/bin")]
  const found = places
    .filter(isAbsolute)
    .map((place) => join(place, COMMAND))
    .find((file) => isFile(file, constants.X_OK))
  return found ? [found, "start"] : undefined
}

export interface Answer {
  status: number
  data: unknown
}

/** How the daemon is reached; tests hand in their own. */
export interface Transport {
  /** One HTTP/JSON exchange; rejects when there is no answer before the signal is aborted. */
  exchange(method: "GET" | "POST", path: string, body: unknown, signal: AbortSignal): Promise<Answer>
  /** Whether anybody accepts connections. */
  listening(): Promise<boolean>
  /** What tells one daemon's socket from the next one's; empty when there is none. */
  identity(): string
  /** What the daemon's seal says now; empty when there is none. */
  seal(): string
  /** Starts the daemon; gives "" once it serves, else what went wrong. */
  launch(): Promise<string>
}

export class UnixTransport implements Transport {
  readonly #socket: string
  readonly #command: string[] | undefined

  constructor(socket: string, command: string[] | undefined) {
    this.#socket = socket
    this.#command = command
  }

  async exchange(method: "GET" | "POST", path: string, body: unknown, signal: AbortSignal): Promise<Answer> {
    const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: JSON_BODY }
    // Bun's own fetch, not the global one, which others wrap; and not node:http, which takes three times as long.
    const answer = await Bun.fetch(`http://${HOST}${path}`, { unix: this.#socket, method, signal, ...sent })
    return { status: answer.status, data: JSON.parse((await read(answer)) || "null") }
  }

  listening(): Promise<boolean> {
    return new Promise((resolve) => {
      const connection = createConnection(this.#socket)
      connection.unref()
      connection.on("connect", () => {
        connection.destroy()
        resolve(true)
      })
      connection.on("error", () => resolve(false))
    })
  }

  identity(): string {
    try {
      const { ino, ctimeMs } = statSync(this.#socket)
      return `${ino}:${ctimeMs}`
    } catch {
      return ""
    }
  }

  seal(): string {
    try {
      return readFileSync(`${this.#socket}.seal`, "latin1").trimEnd()
    } catch {
      return ""
    }
  }

  launch(): Promise<string> {
    const [program, ...words] = this.#command ?? []
    if (!program) return Promise.resolve(`${COMMAND} is not installed (not on PATH and not in ~/.local/bin)`)
    return new Promise((resolve) => {
      const child = spawn(program, words, { detached: true, stdio: ["ignore", "ignore", "pipe"] })
      let said = ""
      child.stderr.on("data", (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(0, 1_000)
      })
      child.on("error", (error) => resolve(`${program}: ${error.message}`))
      child.on("exit", (code) => resolve(code === 0 ? "" : said.trim() || `${program} start ended with ${code}`))
      child.unref()
    })
  }
}

async function read(answer: Response): Promise<string> {
  // The daemon always says how long its answer is; only who does not is counted while it speaks.
  const length = Number(answer.headers.get("content-length") ?? Number.NaN)
  if (length <= ANSWER_LIMIT) return answer.text()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body ?? []) {
    size += chunk.length
    if (size > ANSWER_LIMIT) throw new Error("the answer is too long")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
