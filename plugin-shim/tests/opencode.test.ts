import { describe, expect, test } from "bun:test"
import { modelOf, OpenCode, targetOf } from "../src/opencode.ts"
import { FakeClock, never, settle } from "./fake.ts"
import { FakeOpenCode } from "./fake_opencode.ts"

function setup() {
  const host = new FakeOpenCode()
  const clock = new FakeClock()
  return { host, clock, editor: new OpenCode({ client: host.client, directory: "/here" }, clock) }
}
const ALPHA = { provider: "alpha", model: "m1" }
const BETA = { provider: "beta", model: "m1" }

describe("describe", () => {
  test("says what is connected, and no key", async () => {
    const { host, editor } = setup()
    const hello = await editor.describe()
    expect(hello).toMatchObject({
      protocol: 1,
      client: "opencode",
      client_version: "1.18.33",
      shim_version: "0.1.0",
      directory: "/here",
    })
    expect(hello.providers.map((p) => [p.id, p.has_key, p.uninvited, p.base_url, p.default_model])).toEqual([
      ["alpha", true, false, "https://alpha.test/v1", "m1"],
      ["beta", true, false, "https://beta.test/v1", "m1"],
      ["claude", true, false, "", ""],
      ["local", false, false, "http://127.0.0.1:8080/v1", ""],
      ["opencode", false, true, "https://zen.test/v1", ""],
    ])
    expect(hello.providers[0]?.models[0]).toEqual({
      id: "m1",
      name: "Model One",
      context: 200_000,
      output: 8_000,
      cost_input: 3,
      cost_output: 15,
      tools: true,
      images: true,
      reasoning: false,
      released: "2026-01-02",
      wire: "openai-chat",
      variants: ["high"],
    })
    for (const secret of host.secrets) expect(JSON.stringify(hello)).not.toContain(secret)
    expect(editor.has(ALPHA)).toBe(true)
    expect(editor.has({ provider: "alpha", model: "x" })).toBe(false)
    expect(editor.wire({ provider: "claude", model: "sonnet" })).toBe("anthropic")
  })

  test("keeps to what the protocol takes, whatever the configuration says", async () => {
    const { host, editor } = setup()
    const catalogue = await host.providers()
    const alpha = catalogue.data?.providers[0]
    if (!alpha) throw new Error("no alpha")
    const odd = {
      id: "odd",
      api: { npm: "x" },
      limit: { context: 1.6, output: -1 },
      cost: { input: Infinity },
      name: "n".repeat(999),
    }
    alpha.models = { odd, long: { ...odd, id: "l".repeat(257) } } as unknown as typeof alpha.models
    host.providers = () => Promise.resolve(catalogue)
    const models = (await editor.describe()).providers[0]?.models
    expect(models).toMatchObject([
      {
        id: "odd",
        name: "n".repeat(512),
        context: 2,
        output: 0,
        cost_input: 1e9,
        cost_output: 0,
        tools: true,
        images: false,
      },
    ])
  })

  test("names the agents, and does without where OpenCode does not name them", async () => {
    const { host, editor } = setup()
    expect((await editor.describe()).agents).toEqual(["build", "plan"])
    host.agents = () => {
      throw new TypeError("client.app.agents is not a function")
    }
    expect(await editor.describe()).toMatchObject({ agents: [], directory: "/here" })
  })

  test("fails when OpenCode does not say, or not in time", async () => {
    const { host, clock, editor } = setup()
    host.providers = () => Promise.reject(new Error("not yet"))
    expect(await editor.describe().catch(() => "failed")).toBe("failed")
    host.providers = never
    const asked = editor.describe().catch(() => "failed")
    await clock.advance(5_000)
    expect(await asked).toBe("failed")
  })
})

describe("access", () => {
  test("is base, key, model name and headers of the target", async () => {
    const { editor } = setup()
    await editor.describe()
    expect(editor.access(BETA)).toEqual({
      wire: "openai-chat",
      baseURL: "https://beta.test/v1",
      key: "SECRET-BETA",
      model: "real-m1",
      headers: { "x-team": "t", "x-model": "1" },
    })
    expect(editor.access({ provider: "claude", model: "sonnet" })).toMatchObject({
      baseURL: "https://api.anthropic.com/v1",
      key: "SECRET-CLAUDE",
    })
  })

  test("is not there without a key or an address", async () => {
    const { host, editor } = setup()
    expect(editor.access(BETA)).toBeUndefined()
    const catalogue = await host.providers()
    const beta = catalogue.data?.providers[1]
    if (!beta) throw new Error("no beta")
    for (const options of [
      { apiKey: "" },
      { apiKey: "opencode-oauth-dummy-key" },
      { apiKey: "public" },
      { apiKey: "k", baseURL: "https://${HOST}/v1" },
    ]) {
      beta.options = { baseURL: "https://beta.test/v1", ...options }
      host.providers = () => Promise.resolve(catalogue)
      await editor.describe()
      expect(editor.access(BETA)).toBeUndefined()
    }
    expect(editor.access({ provider: "nowhere", model: "x" })).toBeUndefined()
  })
})

describe("storing a message again", () => {
  const message = () => ({
    id: "msg_1",
    sessionID: "ses_1",
    role: "user",
    agent: "plan",
    time: { created: 42 },
    model: modelOf({ ...ALPHA, variant: "high" }),
    system: "be brief",
    tools: { bash: false },
    summary: { diffs: [] },
  })

  test("changes its model and nothing else, not even for plugins that add parts", async () => {
    const { host, editor } = setup()
    host.chatMessage = async (output) => {
      output.parts.push({ type: "text", text: "added by another plugin" })
      editor.claim(output)
    }
    expect(await editor.redirect(message(), { ...BETA, variant: "low" }, { ...ALPHA, variant: "high" })).toBe(true)
    expect(host.stored).toEqual([
      { message: { ...message(), model: { providerID: "beta", modelID: "m1", variant: "low" } }, parts: [] },
    ])
    expect(host.prompts[0]?.body).toEqual({
      messageID: "msg_1",
      agent: "plan",
      model: { providerID: "alpha", modelID: "m1" },
      variant: "high",
      noReply: true,
      parts: [],
    })
  })

  test("leaves nothing to plugins that come after us", async () => {
    const { host, editor } = setup()
    host.chatMessage = async (output) => {
      editor.claim(output)
      output.parts.push({ type: "text", text: "added" })
      output.parts.unshift({ type: "text", text: "added" })
      output.parts.splice(0, 0, { type: "text", text: "added" })
      output.message["model"] = { providerID: "gamma", modelID: "m1" }
    }
    expect(await editor.redirect(message(), BETA, ALPHA)).toBe(true)
    expect(JSON.parse(JSON.stringify(host.stored))).toEqual([
      { message: { ...message(), model: modelOf(BETA) }, parts: [] },
    ])
    expect({ ...host.stored[0]?.message }).toMatchObject({ model: modelOf(BETA) })
  })

  test("has failed when OpenCode stored another model all the same", async () => {
    const { host, editor } = setup()
    host.prompting = (prompt) => {
      editor.claim({ message: { id: prompt.body.messageID ?? "" }, parts: [] })
      return Promise.resolve({ data: { info: { ...message(), model: modelOf(ALPHA) }, parts: [] } })
    }
    expect(await editor.redirect(message(), BETA, ALPHA)).toBe(false)
    expect(await editor.redirect(message(), ALPHA, ALPHA)).toBe(true)
  })

  test("is done as soon as OpenCode says that it is stored", async () => {
    const { host, editor } = setup()
    const said = (info: unknown, type = "message.updated") => editor.stored({ type, properties: { info } })
    const wanted = { ...message(), model: modelOf(BETA) }
    said(wanted)
    host.prompting = never
    let done: boolean | undefined
    const asked = editor.redirect(message(), BETA, ALPHA).then((answer) => (done = answer))
    for (const other of [undefined, {}, message(), { ...wanted, id: "msg_2" }]) said(other)
    said(wanted, "message.removed")
    editor.stored({ type: "message.updated", properties: null })
    await settle()
    expect(done).toBeUndefined()
    said(wanted)
    expect(await asked).toBe(true)
  })

  test("puts back what the user chose, into the message as it is now", async () => {
    const { host, editor } = setup()
    host.chatMessage = async (output) => void editor.claim(output)
    host.sessions.set("ses_1", {})
    host.messages.set("msg_1", { ...message(), model: modelOf(BETA), summary: { diffs: ["newer"] } })
    await editor.restore("ses_1", "msg_1", ALPHA)
    expect(host.stored[0]?.message).toEqual({ ...message(), model: modelOf(ALPHA), summary: { diffs: ["newer"] } })
    await editor.restore("ses_1", "msg_gone", ALPHA)
    await editor.restore("ses_gone", "msg_1", ALPHA)
    expect(host.stored.length).toBe(1)
  })

  test("leaves a session alone that was undone: storing would make that final", async () => {
    const { host, editor } = setup()
    host.chatMessage = async (output) => void editor.claim(output)
    host.sessions.set("ses_1", { revert: { messageID: "msg_1" } })
    host.messages.set("msg_1", message())
    await editor.restore("ses_1", "msg_1", ALPHA)
    expect(host.prompts).toEqual([])
  })

  test("says when a message that was undone at that very moment came back empty", async () => {
    const { host, editor } = setup()
    host.sessions.set("ses_1", {})
    host.messages.set("msg_1", message())
    host.parts.set("msg_1", [{ type: "text", text: "hello" }])
    host.chatMessage = async (output) => void editor.claim(output)
    expect(await editor.restore("ses_1", "msg_1", ALPHA)).toBe(true)
    host.chatMessage = async (output) => {
      editor.claim(output)
      host.parts.set("msg_1", [])
    }
    expect(await editor.restore("ses_1", "msg_1", ALPHA)).toBe(false)
  })

  test("fails when OpenCode refuses, hangs, or does not ask us", async () => {
    const { host, clock, editor } = setup()
    expect(await editor.redirect(message(), BETA, ALPHA)).toBe(false)
    host.prompting = () => Promise.resolve({ error: "no" })
    expect(await editor.redirect(message(), BETA, ALPHA)).toBe(false)
    host.prompting = () => Promise.reject(new Error("no"))
    expect(await editor.redirect(message(), BETA, ALPHA)).toBe(false)
    host.prompting = never
    const asked = editor.redirect(message(), BETA, ALPHA)
    await clock.advance(5_000)
    expect(await asked).toBe(false)
    expect(editor.claim({ message: { id: "msg_1" }, parts: [] })).toBe(false)
  })
})

describe("taking an empty message away", () => {
  const FRAME = [{ type: "step-start" }, { type: "step-finish" }]
  const kept = async (info: object, parts: object[], session: object = {}) => {
    const { host, editor } = setup()
    host.sessions.set("ses_1", session)
    host.messages.set("msg_2", info)
    host.parts.set("msg_2", parts)
    return { done: await editor.discard("ses_1", "msg_2"), there: host.messages.has("msg_2") }
  }

  test("takes one that says nothing", async () => {
    expect(await kept({ role: "assistant" }, FRAME)).toMatchObject({ done: true, there: false })
    expect(await kept({ role: "user" }, [])).toMatchObject({ done: true, there: false })
  })

  test("leaves whatever somebody said", async () => {
    for (const part of [{ type: "text", text: "" }, { type: "tool" }, { type: "reasoning" }]) {
      expect(await kept({ role: "assistant" }, [...FRAME, part])).toMatchObject({ done: true, there: true })
    }
    expect(await kept({ role: "user" }, [{ type: "text", text: "hello" }])).toMatchObject({ done: true, there: true })
  })

  test("waits while a turn runs, or while the conversation is undone", async () => {
    expect(await kept({ role: "assistant" }, FRAME, { revert: {} })).toMatchObject({ done: false, there: true })
    const { host, editor } = setup()
    host.sessions.set("ses_1", {})
    host.messages.set("msg_2", { role: "assistant" })
    host.parts.set("msg_2", FRAME)
    host.busy = true
    expect(await editor.discard("ses_1", "msg_2")).toBe(false)
    expect(await editor.discard("ses_gone", "msg_2")).toBe(false)
  })
})

test("what is said reaches the conversation and no model", async () => {
  const { host, editor } = setup()
  host.sessions.set("ses_1", { agent: "plan", model: { id: "m1", providerID: "alpha" } })
  expect(await editor.say("ses_1", "report")).toBe(true)
  expect(host.prompts[0]?.body).toEqual({
    noReply: true,
    agent: "plan",
    model: { providerID: "alpha", modelID: "m1" },
    parts: [{ type: "text", text: "report", ignored: true }],
  })
  expect(await editor.say("ses_gone", "report")).toBe(false)
})

test("a final text has nothing OpenCode takes for a passing failure, and reads the same", () => {
  const { editor } = setup()
  /** As in OpenCode 1.18.33. */
  const passing = [
    /429|500|502|503|504|524/i,
    /rate increased too quickly|rate limit|rate-limit|rate_limit|too many requests/i,
    /overloaded|service unavailable|service_unavailable|service-unavailable|internal error|internal_error|internal server error|server error|server_error|server-error|provider returned error|provider_returned_error|provider-returned-error/i,
    /terminated|fetch failed|failed to fetch|network[-_\s]error|upstream connect|connection error|connection refused|connection lost|socket connection was closed|socket hang up|reset before headers|getaddrinfo|enotfound|eai_again|econnrefused|econnreset|etimedout/i,
    /^timeout$|\b(?:request|response|connection|network|stream|read) (?:timeout|timed out|time out)\b/i,
    /try your request again|retry your request|resource exhausted|resource_exhausted/i,
    /\btry again (?:later|in\b)|\b(?:currently|temporarily) at capacity\b/i,
    /too_many_requests|exhausted|unavailable/i,
  ]
  const texts = [
    "rate limit reached (429), try again in 5 min",
    "Too Many Requests; the service is overloaded; service-unavailable",
    "rate-limit-sidecar: HTTP 500 502 503 504 524 from provider; internal server error",
    "connection refused, request timed out, socket hang up, ECONNRESET",
    "resource_exhausted: temporarily at capacity, provider returned error, network error",
    "timeout",
  ]
  for (const text of texts) {
    const final = editor.final(text)
    for (const pattern of passing) expect(final).not.toMatch(pattern)
    expect(final.replaceAll("\u2060", "")).toBe(text)
  }
  expect(editor.final("no target is free until noon")).toBe("no target is free until noon")
})

test("toasts go to the screen and the log, or only to the log; neither may fail", async () => {
  const { host, editor } = setup()
  editor.toast({ title: "Switched", message: "to beta", variant: "warning", duration_ms: 5 })
  editor.voice.settle({ protocol: 1, version: "1", toasts: false })
  editor.toast({ title: "Quiet", message: "now", variant: "error" })
  await settle()
  expect(host.toasts).toEqual([{ title: "Switched", message: "to beta", variant: "warning", duration: 5 }])
  expect(host.logs).toEqual([
    ["info", "rate-limit-sidecar: Switched: to beta"],
    ["error", "rate-limit-sidecar: Quiet: now"],
  ])
  host.broken = true
  editor.voice.settle({ protocol: 1, version: "1" })
  editor.toast({ title: "t", message: "m" })
  editor.log("info", "x")
  await settle()
})

test("targets and models are each other", () => {
  for (const target of [ALPHA, { ...BETA, variant: "high" }]) expect(targetOf(modelOf(target))).toEqual(target)
  expect(modelOf({ ...ALPHA, variant: null })).toEqual({ providerID: "alpha", modelID: "m1" })
})
