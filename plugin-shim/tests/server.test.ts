import type { Hooks, PluginInput } from "@opencode-ai/plugin"
import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TAG } from "../src/fetch.ts"
import plugin from "../src/server.ts"
import { chunk, data, settle, SSE } from "./fake.ts"
import { FakeOpenCode } from "./fake_opencode.ts"

/** The plugin as OpenCode loads it, a daemon on a real socket, and providers behind `fetch`. */
const REAL = globalThis.fetch
const PROCEED = { action: "proceed", reason: { code: "free", text: "free" } }
const BETA = { provider: "beta", model: "m1" }
const toBeta = (more: object = {}) => ({
  action: "switch",
  target: BETA,
  reason: { code: "quota", text: "used up" },
  ...more,
})
const ANSWER = chunk({ content: "word" }) + data("[DONE]")

let dir: string
let daemon: Server
let told: { path: string; body: Record<string, unknown> }[]
let answers: Map<string, (body: Record<string, unknown>) => unknown>
let providers: { url: string; headers: Headers }[]
let provide: () => Response
let host: FakeOpenCode
let hooks: Hooks
let environment: Record<string, string | undefined>

async function load(directory = "/here"): Promise<Hooks> {
  const made = await plugin.server({ client: host.client, directory } as unknown as PluginInput, {
    command: ["/nowhere/rate-limit-sidecar"],
  })
  host.chatMessage = (output) => Promise.resolve(made["chat.message"]?.({ sessionID: "ses_1" }, output as never))
  return made
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "shim-"))
  environment = {
    RATE_LIMIT_SOCKET: process.env["RATE_LIMIT_SOCKET"],
    RATE_LIMIT_PROVIDERS: process.env["RATE_LIMIT_PROVIDERS"],
  }
  process.env["RATE_LIMIT_SOCKET"] = join(dir, "d.sock")
  process.env["RATE_LIMIT_PROVIDERS"] = '{"alpha":{"limits":{"rpm":1}}}'
  told = []
  answers = new Map()
  daemon = createServer((request, response) => {
    let text = ""
    request.on("data", (part) => (text += String(part)))
    request.on("end", () => {
      const body = JSON.parse(text || "{}") as Record<string, unknown>
      const path = request.url ?? ""
      told.push({ path, body })
      const standard =
        path === "/v1/hello"
          ? { protocol: 1, version: "1", warnings: ["alpha: no such model m9"] }
          : path === "/v1/events"
            ? { accepted: 1 }
            : PROCEED
      response.end(JSON.stringify(answers.get(path)?.(body) ?? standard))
    })
  })
  await new Promise<void>((resolve) => daemon.listen(process.env["RATE_LIMIT_SOCKET"], resolve))
  providers = []
  provide = () => new Response(ANSWER, { headers: SSE })
  globalThis.fetch = Object.assign(
    async (input: unknown, init?: RequestInit) => {
      providers.push({ url: String(input), headers: new Headers(init?.headers) })
      return provide()
    },
    { preconnect: () => undefined },
  ) as typeof fetch
  host = new FakeOpenCode()
  hooks = await load()
})
afterEach(async () => {
  await hooks.dispose?.()
  daemon.closeAllConnections()
  daemon.close()
  globalThis.fetch = REAL
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  rmSync(dir, { recursive: true, force: true })
})

const message = (id = "msg_1", session = "ses_1") => ({
  id,
  sessionID: session,
  role: "user",
  agent: "build",
  time: { created: 42 },
  model: { providerID: "alpha", modelID: "m1" } as { providerID: string; modelID: string; variant?: string },
})
const emit = (type: string, properties: object) => hooks.event?.({ event: { type, properties } as never })
async function say(given = message(), parts: object[] = [{ type: "text", text: "hi" }]) {
  await hooks["chat.message"]?.({ sessionID: given.sessionID }, { message: given, parts } as never)
  return given
}
/** One request as OpenCode's AI SDK makes it. */
async function ask(given = message(), npm = "@ai-sdk/openai-compatible", agent = "build") {
  const output = { headers: {} as Record<string, string> }
  const model = { id: given.model.modelID, providerID: given.model.providerID, api: { npm } }
  await hooks["chat.headers"]?.({ sessionID: given.sessionID, agent, model, message: given } as never, output)
  const tagged = TAG in output.headers
  const headers = { authorization: "Bearer SECRET-ALPHA", ...output.headers }
  const response = await fetch("https://alpha.test/v1/chat/completions", {
    method: "POST",
    headers,
    body: '{"model":"m1","stream":true}',
  })
  return { tagged, response, text: await response.text() }
}
const routes = () => told.filter(({ path }) => path === "/v1/route").map(({ body }) => body)
async function until(what: () => boolean) {
  for (let i = 0; i < 2_000 && !what(); i++) await settle()
  expect(what()).toBe(true)
}

test("only the plugin is exported: OpenCode calls every export", async () => {
  expect(Object.keys(await import("../src/server.ts"))).toEqual(["default"])
  expect(plugin.id).toBe("rate-limit-sidecar")
})

test("the daemon hears who we are, what is connected and what this window overrides; its warnings are shown once", async () => {
  await say()
  expect(told[0]).toMatchObject({
    path: "/v1/hello",
    body: { client: "opencode", directory: "/here", overrides: '{"alpha":{"limits":{"rpm":1}}}' },
  })
  await say(message("msg_2"))
  expect(host.toasts).toMatchObject([{ message: "alpha: no such model m9" }])
})

describe("a message", () => {
  test("is asked for with its turn, agent and target", async () => {
    const given = message()
    given.model.variant = "high"
    await say(given)
    expect(routes()).toMatchObject([
      {
        at: "message",
        session: "ses_1",
        turn: "msg_1",
        agent: "build",
        target: { provider: "alpha", model: "m1", variant: "high" },
        mobility: "handover",
      },
    ])
  })

  test("goes where the daemon says, when OpenCode has that model", async () => {
    answers.set("/v1/route", () => toBeta({ target: { ...BETA, variant: "high" } }))
    expect((await say()).model).toEqual({ providerID: "beta", modelID: "m1", variant: "high" })
    answers.set("/v1/route", () => toBeta({ target: { provider: "nowhere", model: "x" } }))
    expect((await say(message("msg_2"))).model).toEqual({ providerID: "alpha", modelID: "m1" })
  })

  test("that opens a conversation keeps its model; its first request is handed over instead, without asking", async () => {
    answers.set("/v1/route", () => toBeta({ arrival: { title: "Switched", message: "to beta" } }))
    await emit("session.created", { sessionID: "ses_1", info: { id: "ses_1" } })
    const given = await say()
    expect(given.model).toEqual({ providerID: "alpha", modelID: "m1" })
    const { text } = await ask(given)
    expect(text).toContain("tool_calls")
    expect(routes().length).toBe(1)
    expect(providers).toEqual([])
    expect(host.stored).toMatchObject([
      { message: { id: "msg_1", time: { created: 42 }, model: { providerID: "beta", modelID: "m1" } } },
    ])
    answers.delete("/v1/route")
    expect((await ask({ ...given, model: { providerID: "beta", modelID: "m1" } })).text).toBe(ANSWER)
    expect(host.toasts).toMatchObject([{}, { title: "Switched" }])
  })

  test("that returns to its model says so with the first content of it", async () => {
    const back = { action: "proceed", reason: PROCEED.reason, arrival: { title: "Back on alpha/m1", message: "free" } }
    answers.set("/v1/route", () => back)
    const given = await say()
    answers.delete("/v1/route")
    const backs = () => host.toasts.filter((toast) => (toast as { title: string }).title.startsWith("Back")).length
    expect(backs()).toBe(0)
    await ask(given)
    expect(backs()).toBe(1)
  })

  test("of a subagent goes at once", async () => {
    answers.set("/v1/route", () => toBeta())
    await emit("session.created", { sessionID: "ses_2", info: { id: "ses_2", parentID: "ses_1" } })
    expect((await say(message("msg_1", "ses_2"))).model.providerID).toBe("beta")
    expect(routes()[0]).toMatchObject({ parent: "ses_1" })
  })

  test("no model will see is none of our business", async () => {
    await say(message(), [{ type: "text", text: "report", ignored: true }])
    await ask(message("msg_2"))
    expect(routes().map(({ at }) => at)).toEqual(["attempt"])
  })
})

describe("an OpenCode the daemon does not trust with a handover", () => {
  const held = { protocol: 1, version: "1", handover: false, handover_why: "OpenCode 9 is new." }

  test("has its messages redirected, the first of a conversation too, and nothing stored again", async () => {
    answers.set("/v1/hello", () => held)
    answers.set("/v1/route", () => toBeta())
    await emit("session.created", { sessionID: "ses_1", info: { id: "ses_1" } })
    expect((await say()).model).toEqual({ providerID: "beta", modelID: "m1" })
    await emit("session.idle", { sessionID: "ses_1" })
    await until(() => host.toasts.length > 0)
    expect(host.prompts).toEqual([])
    expect(host.toasts).toMatchObject([{ title: "Running turns are not moved" }])
  })

  test("has its steps rerouted within their wire, and told as the one's who answered", async () => {
    answers.set("/v1/hello", () => held)
    const given = await say()
    answers.set("/v1/route", (body) =>
      (body["target"] as { provider: string }).provider === "alpha" ? toBeta() : PROCEED,
    )
    expect((await ask(given)).text).toBe(ANSWER)
    expect(providers.map(({ url }) => url)).toEqual(["https://beta.test/v1/chat/completions"])
    await until(() => told.some(({ path }) => path === "/v1/outcome"))
    expect(told.filter(({ path }) => path === "/v1/outcome").map(({ body }) => body)).toMatchObject([
      { mobility: "same_wire", target: { provider: "beta" }, ended: "ok" },
    ])
    expect(host.stored).toEqual([])
  })
})

test("a provider whose requests do not pass is named, and its requests are not tagged any more", async () => {
  const given = message()
  const model = { id: "m1", providerID: "alpha", api: { npm: "@ai-sdk/openai-compatible" } }
  const tags = async () => {
    const output = { headers: {} as Record<string, string> }
    await hooks["chat.headers"]?.({ sessionID: "ses_1", agent: "build", model, message: given } as never, output)
    return Object.keys(output.headers)
  }
  expect(await tags()).toEqual([TAG])
  await emit("session.error", { sessionID: "ses_1", error: { name: "APIError", data: { statusCode: 429 } } })
  expect(await tags()).toEqual([])
  answers.set("/v1/route", () => toBeta())
  await emit("session.created", { sessionID: "ses_3", info: { id: "ses_3" } })
  // Not even for the first message of a conversation: no request would come to be handed over.
  expect((await say(message("msg_3", "ses_3"))).model.providerID).toBe("beta")
  expect(host.toasts).toContainEqual(expect.objectContaining({ title: "Requests to alpha are out of reach" }))
})

describe("a request", () => {
  test("is tagged, asked for, sent without the tag, and reported", async () => {
    const { tagged, text } = await ask()
    expect([tagged, text]).toEqual([true, ANSWER])
    expect(providers.map(({ headers }) => headers.has(TAG))).toEqual([false])
    await until(() => told.some(({ path }) => path === "/v1/outcome"))
    expect(told.find(({ path }) => path === "/v1/outcome")?.body).toMatchObject({
      ended: "ok",
      turn: "msg_1",
      attempt: routes()[0]?.["attempt"],
    })
  })

  test("to Bedrock is left alone: it is signed", async () => {
    expect((await ask(message(), "@ai-sdk/amazon-bedrock")).tagged).toBe(false)
    expect(routes()).toEqual([])
  })

  test("that is limited moves the turn, which gets its model back at the end", async () => {
    provide = () => new Response('{"error":{"message":"limited"}}', { status: 429 })
    answers.set("/v1/outcome", () => toBeta())
    const given = await say()
    expect((await ask(given)).text).toContain("tool_calls")
    expect(host.stored).toMatchObject([{ message: { model: { providerID: "beta", modelID: "m1" } }, parts: [] }])
    host.messages.set("msg_1", host.stored[0]?.message ?? {})
    host.sessions.set("ses_1", {})
    await emit("session.idle", { sessionID: "ses_1" })
    await until(() => host.stored.length > 1)
    expect(host.stored[1]).toMatchObject({
      message: { id: "msg_1", time: { created: 42 }, model: { providerID: "alpha", modelID: "m1" } },
    })
    expect(routes().filter(({ at }) => at === "message").length).toBe(1)
  })

  test("is served by one copy of the plugin when two are loaded, and by the other when one goes", async () => {
    const first = hooks
    hooks = await load()
    const output = { headers: {} as Record<string, string> }
    const model = { id: "m1", providerID: "alpha", api: { npm: "@ai-sdk/openai-compatible" } }
    await first["chat.headers"]?.({ sessionID: "ses_1", agent: "build", model, message: message() } as never, output)
    expect(output.headers).toEqual({})
    await first.dispose?.()
    expect((await ask()).tagged).toBe(true)
    expect(routes().length).toBe(1)
  })
})

test("events go on in the background", async () => {
  await say(message("msg_0", "ses_0"))
  await emit("session.deleted", { sessionID: "ses_1", info: { id: "ses_1", title: "SECRET" } })
  await emit("message.part.updated", { part: { text: "SECRET" } })
  await hooks.dispose?.()
  const events = told.filter(({ path }) => path === "/v1/events").map(({ body }) => body)
  expect(events).toMatchObject([
    { directory: "/here", events: [{ type: "session.deleted", properties: { sessionID: "ses_1" } }] },
  ])
})

test("nothing is asked of OpenCode while it closes: it would start anew for that", async () => {
  answers.set("/v1/events", () => ({ accepted: 1, toasts: [{ title: "t", message: "m" }] }))
  await say()
  const before = [host.toasts.length, host.logs.length, host.prompts.length]
  await emit("session.deleted", { sessionID: "ses_1" })
  await hooks.dispose?.()
  expect(told.map(({ path }) => path)).toContain("/v1/events")
  expect([host.toasts.length, host.logs.length, host.prompts.length]).toEqual(before)
})

test("no key leaves this process, whatever happens", async () => {
  provide = () =>
    new Response('{"error":{"message":"limited"}}', {
      status: 429,
      headers: { "set-cookie": "SECRET-COOKIE", "retry-after": "1" },
    })
  answers.set("/v1/outcome", () => toBeta())
  await ask(await say())
  provide = () => {
    throw new Error("cannot reach https://alpha.test/v1?key=SECRET-ALPHA")
  }
  await ask(await say(message("msg_2")))
  await emit("session.error", {
    sessionID: "ses_1",
    error: {
      name: "APIError",
      data: { message: "m", responseHeaders: { authorization: "SECRET-ALPHA" }, metadata: { url: "SECRET-ALPHA" } },
    },
  })
  await hooks.dispose?.()
  const everything =
    JSON.stringify(told) + JSON.stringify(host.logs) + JSON.stringify(host.toasts) + JSON.stringify(host.prompts)
  expect(told.map(({ path }) => path)).toContain("/v1/events")
  for (const secret of [...host.secrets, "SECRET-COOKIE"]) expect(everything).not.toContain(secret)
})

describe("/rate_limit_status", () => {
  const run = () =>
    hooks["command.execute.before"]?.(
      { command: "rate_limit_status", sessionID: "ses_1", arguments: "" },
      { parts: [] },
    ).catch((error: Error) => error.message)

  test("is a command", async () => {
    const config = { command: { other: { template: "x" } } } as NonNullable<Parameters<NonNullable<Hooks["config"]>>[0]>
    await hooks.config?.(config)
    expect(Object.keys(config.command ?? {})).toEqual(["other", "rate_limit_status"])
  })

  test("shows the report in an idle conversation, and stops the request", async () => {
    answers.set("/v1/status?format=text", () => ({ text: "alpha: limited" }))
    host.sessions.set("ses_1", { agent: "build" })
    expect(await run()).toBe("The rate limits are shown; nothing was sent to a model.")
    expect(host.prompts[0]?.body.parts).toEqual([{ type: "text", text: "alpha: limited", ignored: true }])
    expect([routes().length, providers.length]).toEqual([0, 0])
  })

  test("only shows a toast while the conversation is running", async () => {
    answers.set("/v1/status?format=text", () => ({ text: "alpha: limited" }))
    host.sessions.set("ses_1", { agent: "build" })
    await emit("session.status", { sessionID: "ses_1", status: { type: "busy" } })
    await run()
    expect(host.prompts).toEqual([])
    expect(host.toasts.at(-1)).toMatchObject({ message: "alpha: limited" })
  })

  test("says that the daemon is away and how to start it", async () => {
    daemon.closeAllConnections()
    await new Promise((resolve) => daemon.close(resolve))
    host.sessions.set("ses_1", {})
    await run()
    expect(JSON.stringify(host.prompts)).toContain("rate-limit-sidecar start")
  })

  test("leaves other commands alone", async () => {
    expect(
      await hooks["command.execute.before"]?.({ command: "init", sessionID: "ses_1", arguments: "" }, { parts: [] }),
    ).toBeUndefined()
  })
})

describe("whatever happens", () => {
  test("no hook rejects", async () => {
    host.broken = true
    for (const given of [
      undefined,
      null,
      {},
      { event: null },
      { event: { type: "message.updated", properties: null } },
    ]) {
      await hooks.event?.(given as never)
      await hooks["chat.message"]?.(given as never, given as never)
      await hooks["chat.headers"]?.(given as never, given as never)
      await hooks.config?.(given as never)
    }
  })

  test("without a daemon everything goes through untouched", async () => {
    daemon.closeAllConnections()
    await new Promise((resolve) => daemon.close(resolve))
    provide = () => new Response("limited", { status: 429, headers: { "retry-after": "7" } })
    const given = await say()
    const { response, text } = await ask(given)
    expect([given.model.providerID, response.status, response.headers.get("retry-after"), text]).toEqual([
      "alpha",
      429,
      "7",
      "limited",
    ])
    expect(host.toasts).toMatchObject([{ title: "Rate-limit sidecar is away" }])
    expect(JSON.stringify(host.toasts)).toContain("rate-limit-sidecar start")
  })

  test("fetch is as it was once the last instance is gone", async () => {
    const wrapped = globalThis.fetch
    const other = await load("/there")
    await hooks.dispose?.()
    expect(globalThis.fetch).toBe(wrapped)
    await other.dispose?.()
    expect(globalThis.fetch).not.toBe(wrapped)
  })
})
