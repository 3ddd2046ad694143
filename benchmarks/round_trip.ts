/**
 * Asks and reports over two sockets in turns, with the plugin's own transport; prints the times as JSON.
 *
 * Arguments: the daemon's socket, the bare server's socket, the number of rounds.
 */

import { UnixTransport } from "../plugin-shim/src/daemon.ts"

const [daemon, bare, count] = process.argv.slice(2)
const rounds = Number(count)
const WARM = 100

const about = (round: number) => ({
  session: "ses_benchmark",
  directory: "/work",
  agent: "build",
  turn: `u${Math.floor(round / 5)}`,
  target: { provider: "provider-0", model: "claude-sonnet-4-5" },
  wire: "anthropic",
  mobility: "handover",
  needs: { context: 40_000, tools: true, images: false },
  attempt: `a${round}`,
})
const ended = {
  ended: "ok",
  status: 200,
  headers: { "x-ratelimit-remaining-requests": "40" },
  latency_ms: 900,
  first_token_ms: 200,
}

const times: Record<string, number[]> = {}
async function time(what: string, transport: UnixTransport, path: string, body: unknown): Promise<number> {
  const began = performance.now()
  const answer = await transport.exchange("POST", path, body, new AbortController().signal)
  const took = performance.now() - began
  if (answer.status !== 200) throw new Error(`${what}: HTTP ${answer.status}`)
  ;(times[what] ??= []).push(took)
  return took
}

const sidecar = new UnixTransport(daemon ?? "", undefined)
const echo = new UnixTransport(bare ?? "", undefined)
for (let round = 0; round < rounds + WARM; round++) {
  if (round === WARM) for (const what of Object.keys(times)) times[what] = []
  const [route, outcome] = [{ ...about(round), at: "attempt" }, { ...about(round), ...ended }]
  const both = async (name: string, transport: UnixTransport) => {
    const asked = await time(`${name} route`, transport, "/v1/route", route)
    const told = await time(`${name} outcome`, transport, "/v1/outcome", outcome)
    ;(times[`${name} both`] ??= []).push(asked + told)
  }
  await both("daemon", sidecar)
  await both("echo", echo)
}
console.log(JSON.stringify(times))
