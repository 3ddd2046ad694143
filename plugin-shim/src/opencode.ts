/**
 * OpenCode 1.18 as an `Editor`: its client, its providers and models, its messages, its idea of a passing failure.
 *
 * With `events.ts` and `server.ts` the only files that know OpenCode's API. Calls to the client are bounded in time and
 * never reject. Keys are read here for requests that go to another provider, and leave this file for no other reason.
 */

import type { PluginInput } from "@opencode-ai/plugin"
import { isMainThread } from "node:worker_threads"
import pkg from "../package.json" with { type: "json" }
import { within, type Clock } from "./clock.ts"
import type { Access, Editor, Message } from "./editor.ts"
import {
  PROTOCOL,
  same,
  type Hello,
  type ModelInfo,
  type ProviderInfo,
  type Target,
  type Toast,
  type Wire,
} from "./protocol.ts"
import { Voice } from "./voice.ts"
import { wireOf } from "./wire.ts"

const CALL_MS = 5_000
const TOAST_MS = 8_000

type Client = PluginInput["client"]
type Catalogue = NonNullable<Awaited<ReturnType<Client["config"]["providers"]>>["data"]>
type Provider = Catalogue["providers"][number]
type Ask = (request: { url: string; path?: Record<string, string> }) => Promise<{ data?: unknown }>
type Raw = { get: Ask; delete: Ask }
type Model = Provider["models"][string] & { release_date?: string; variants?: Record<string, unknown> }

/** A model as OpenCode's messages name it. */
export interface ModelRef {
  providerID: string
  modelID: string
  variant?: string
}

export const targetOf = (model: ModelRef): Target => ({
  provider: model.providerID,
  model: model.modelID,
  ...(model.variant && { variant: model.variant }),
})

export const modelOf = (target: Target): ModelRef => ({
  providerID: target.provider,
  modelID: target.model,
  ...(target.variant && { variant: target.variant }),
})

/** Where the AI SDK packages send requests when nothing else is configured. */
const HOMES: Record<string, string> = {
  "@ai-sdk/anthropic": "https://api.anthropic.com/v1",
  "@ai-sdk/openai": "https://api.openai.com/v1",
  "@ai-sdk/google": "https://generativelanguage.googleapis.com/v1beta",
  "@ai-sdk/groq": "https://api.groq.com/openai/v1",
  "@ai-sdk/mistral": "https://api.mistral.ai/v1",
  "@ai-sdk/xai": "https://api.x.ai/v1",
  "@openrouter/ai-sdk-provider": "https://openrouter.ai/api/v1",
}

/** The key of OpenCode's own free gateway, which is connected without anybody having asked for it. */
const NOBODYS_KEY = "public"
/** What stands where a key would be when a subscription's login signs the requests. */
const NO_KEY = /^$|dummy|^public$/

/** The texts after which OpenCode tries again, whatever the status (1.18.33). */
const PASSING = [
  /429|500|502|503|504|524/gi,
  /rate increased too quickly|rate[ _-]limit|too many requests/gi,
  /overloaded|service[ _-]?unavailable|internal[ _]error|server[ _-]error|provider[ _-]returned[ _-]error/gi,
  /terminated|fetch failed|failed to fetch|network[-_\s]error|upstream connect|connection (?:error|refused|lost)/gi,
  /socket connection was closed|socket hang up|reset before headers|getaddrinfo|enotfound|eai_again/gi,
  /econnrefused|econnreset|etimedout|timeout|timed out|time out|retry your request|resource[ _]exhausted/gi,
  /try (?:again|your request)|at capacity|too_many_requests|exhausted|unavailable/gi,
]
/** Invisible, and enough to keep the patterns from matching. */
const WORD_JOINER = "\u2060"

/** What the protocol takes; one value out of bounds would cost the whole introduction. */
const amount = (value: unknown): number =>
  typeof value === "number" && value >= 0 ? Math.min(Math.round(value), 1e12) : 0
const price = (value: unknown): number => (typeof value === "number" && value >= 0 ? Math.min(value, 1e9) : 0)
const text = (value: unknown): string => (typeof value === "string" ? value.slice(0, 512) : "")
const isId = (value: string): boolean => value.length > 0 && value.length <= 256
const MODELS = 5_000
const AGENTS = 1_000
/** The parts every step has, whatever was said in it. */
const FRAME = new Set(["step-start", "step-finish"])

export class OpenCode implements Editor {
  readonly #client: Client
  readonly #directory: string
  readonly #clock: Clock
  #catalogue = new Map<string, Provider>()
  /** Messages we are storing again, by id, as they shall be. */
  readonly #rewriting = new Map<string, Record<string, unknown>>()
  /** What is to hear where such a message is now, by its id. */
  readonly #awaited = new Map<string, (now: Target) => void>()
  #closed = false
  #version = ""
  readonly voice: Voice

  constructor(input: Pick<PluginInput, "client" | "directory">, clock: Clock) {
    this.#client = input.client
    this.#directory = input.directory
    this.#clock = clock
    this.voice = new Voice(clock, {
      // The TUI has its own thread for plugins; everywhere else nothing is drawn.
      draws: !isMainThread,
      toast: ({ title, message, variant = "info", duration_ms: duration = TOAST_MS }) =>
        void this.#call(() => this.#client.tui.showToast({ body: { title, message, variant, duration } })),
      log: (level, said) => this.log(level, said),
      stderr: (line) => void process.stderr.write(line),
    })
  }

  async describe(): Promise<Hello> {
    const [found, version, agents] = await Promise.all([
      this.#call(() => this.#client.config.providers()),
      this.#ask(),
      // Only for a warning: a client that cannot say is no reason to be without everything else.
      this.#call(async () => await this.#client.app.agents()),
    ])
    this.#version = version
    if (!found) throw new Error("OpenCode does not say which providers are connected")
    this.#catalogue = new Map(found.providers.map((provider) => [provider.id, provider]))
    const overrides = process.env["RATE_LIMIT_PROVIDERS"]
    return {
      protocol: PROTOCOL,
      client: "opencode",
      client_version: version,
      shim_version: pkg.version,
      executable: text(process.execPath),
      directory: this.#directory,
      ...(overrides && { overrides }),
      providers: found.providers.map((provider) => described(provider, found.default[provider.id])),
      agents: (agents ?? []).slice(0, AGENTS).map((agent) => text(agent.name)),
    }
  }

  /** No call from here on: OpenCode would start a new instance for it. */
  close(): void {
    this.#closed = true
  }

  get tested(): boolean {
    return pkg.opencode.tested.includes(this.#version)
  }

  has(target: Target): boolean {
    return this.#model(target) !== undefined
  }

  wire(target: Target): Wire {
    return wireOf(this.#model(target)?.api.npm ?? "")
  }

  access(target: Target): Access | undefined {
    const model = this.#model(target)
    const provider = this.#catalogue.get(target.provider)
    if (!model || !provider) return undefined
    const { headers } = provider.options
    const baseURL = text(provider.options["baseURL"]) || model.api.url || HOMES[model.api.npm] || ""
    const key = keyOf(provider)
    if (!URL.canParse(baseURL) || baseURL.includes("${") || NO_KEY.test(key)) return undefined
    const own = { ...(headers as Record<string, string> | undefined), ...model.headers }
    return { wire: wireOf(model.api.npm), baseURL, key, model: model.api.id, headers: own }
  }

  async redirect(message: Message, target: Target, chosen: Target): Promise<boolean> {
    return this.#rewrite({ ...message, model: modelOf(target) }, chosen)
  }

  async restore(session: string, message: string, chosen: Target): Promise<boolean> {
    const read = () => this.#call(() => this.#client.session.message({ path: { id: session, messageID: message } }))
    const found = await read()
    // Storing anything in a session that was undone would make the undoing final; so this is looked at last.
    if (!found || (await this.#undone(session))) return true
    await this.#rewrite({ ...found.info, model: modelOf(chosen) }, chosen)
    // Undone after that look, OpenCode takes the message away with all its parts before it stores what we sent.
    return found.parts.length === 0 || (await read())?.parts.length !== 0
  }

  async discard(session: string, message: string): Promise<boolean> {
    const path = { id: session, messageID: message }
    const found = await this.#call(() => this.#client.session.message({ path }))
    if (await this.#undone(session)) return false
    // What somebody said is nobody's to take away, however little it was.
    if (!found || found.parts.some((part) => !FRAME.has(part.type))) return true
    // OpenCode refuses while a turn runs.
    const url = "/session/{id}/message/{messageID}"
    return (await this.#call(() => this.#raw?.delete({ url, path }) ?? Promise.resolve({}))) === true
  }

  /**
   * Stores a user message again, in its place and with its time. OpenCode stamps a new time on it and fills in only what
   * a prompt can say, so `chat.message` puts the rest back (`claim`). Named with the model the user chose, it leaves the
   * session's own model alone.
   */
  async #rewrite(message: Message, chosen: Target): Promise<boolean> {
    const { providerID, modelID, variant } = modelOf(chosen)
    const body = {
      messageID: message.id,
      agent: String(message["agent"]),
      model: { providerID, modelID },
      variant,
      noReply: true,
      parts: [],
    }
    const wanted = targetOf(message["model"] as ModelRef)
    this.#rewriting.set(message.id, message)
    const seen = new Promise<boolean>((resolve) => {
      this.#awaited.set(message.id, (now) => same(now, wanted) && resolve(true))
    })
    const asked = async () => {
      const stored = await this.#call(() => this.#client.session.prompt({ path: { id: message.sessionID }, body }))
      const now = (stored?.info as { model?: ModelRef } | undefined)?.model
      return stored !== undefined && !this.#rewriting.has(message.id) && (!now || same(targetOf(now), wanted))
    }
    try {
      return await Promise.race([asked(), seen])
    } finally {
      this.#rewriting.delete(message.id)
      this.#awaited.delete(message.id)
    }
  }

  /** Takes word of a message that was stored: it comes some milliseconds before the answer to our call. */
  stored(event: { type: string; properties: unknown }): void {
    if (this.#awaited.size === 0 || event.type !== "message.updated") return
    const { info } = (event.properties ?? {}) as { info?: { id?: string; model?: ModelRef } }
    if (info?.id && info.model) this.#awaited.get(info.id)?.(targetOf(info.model))
  }

  /** Whether part of a session is undone, or not even that is known. */
  async #undone(session: string): Promise<boolean> {
    const info = await this.#call(() => this.#client.session.get({ path: { id: session } }))
    return !info || Boolean(info.revert)
  }

  /** Whether `chat.message` speaks of a message we are storing again; then it becomes what it shall be. */
  claim(output: { message: { id: string }; parts: unknown[] }): boolean {
    const wanted = this.#rewriting.get(output.message.id)
    if (!wanted) return false
    this.#rewriting.delete(output.message.id)
    Object.assign(output.message, wanted)
    output.parts.length = 0
    close(output.message, output.parts)
    return true
  }

  /** Shows text in a conversation without sending it to any model; the session must be idle. */
  async say(session: string, said: string): Promise<boolean> {
    const found = (await this.#call(() => this.#client.session.get({ path: { id: session } }))) as
      { agent?: string; model?: { id: string; providerID: string } } | undefined
    if (!found) return false
    const model = found.model && { providerID: found.model.providerID, modelID: found.model.id }
    const body = {
      noReply: true,
      parts: [{ type: "text" as const, text: said, ignored: true }],
      ...(found.agent && { agent: found.agent }),
      ...(model && { model }),
    }
    return (await this.#call(() => this.#client.session.prompt({ path: { id: session }, body }))) !== undefined
  }

  final(said: string): string {
    return PASSING.reduce((done, pattern) => done.replace(pattern, (hit) => hit[0] + WORD_JOINER + hit.slice(1)), said)
  }

  toast(toast: Toast, session?: string): void {
    this.voice.say(toast, session)
  }

  log(level: "debug" | "info" | "warn" | "error", said: string): void {
    const message = `rate-limit-sidecar: ${said}`
    void this.#call(() => this.#client.app.log({ body: { service: "rate-limit-sidecar", level, message } }))
  }

  #model(target: Target): Model | undefined {
    return this.#catalogue.get(target.provider)?.models[target.model]
  }

  async #ask(): Promise<string> {
    const health = await this.#call(() => this.#raw?.get({ url: "/global/health" }) ?? Promise.resolve({}))
    return text((health as { version?: unknown } | undefined)?.version)
  }

  /** What the client is made of, for routes it has no method for. */
  get #raw(): Raw | undefined {
    return (this.#client as unknown as { _client?: Raw })._client
  }

  /** Calls the client; undefined when that failed or took too long. */
  async #call<T>(call: () => Promise<{ data?: T }>): Promise<T | undefined> {
    if (this.#closed) return undefined
    const answer = await within(
      this.#clock,
      CALL_MS,
      call().catch(() => undefined),
    )
    return answer?.data ?? undefined
  }
}

/**
 * Leaves nothing to plugins whose `chat.message` comes after ours: whatever they do to a new message, they have done to
 * this one. Done again, a part they add would be there twice, and a model they choose would undo the redirection.
 */
function close(message: object, parts: unknown[]): void {
  const { model } = message as { model?: unknown }
  Object.defineProperty(message, "model", { enumerable: true, get: () => model, set: () => undefined })
  for (const name of ["push", "unshift"]) Object.defineProperty(parts, name, { value: () => 0 })
  Object.defineProperty(parts, "splice", { value: () => [] })
}

/** Gives the key OpenCode uses for a provider; its options count before its login. */
function keyOf(provider: Provider): string {
  const { apiKey } = provider.options
  return typeof apiKey === "string" ? apiKey : (provider.key ?? "")
}

function described(provider: Provider, preferred: string | undefined): ProviderInfo {
  const models = Object.values(provider.models as Record<string, Model>).filter((model) => isId(model.id))
  const uninvited = keyOf(provider) === NOBODYS_KEY
  return {
    id: provider.id,
    name: text(provider.name),
    base_url: text(provider.options["baseURL"]) || text(models[0]?.api.url),
    has_key: !uninvited && keyOf(provider) !== "",
    uninvited,
    default_model: text(preferred),
    models: models.slice(0, MODELS).map((model): ModelInfo => ({
      id: model.id,
      name: text(model.name),
      context: amount(model.limit?.context),
      output: amount(model.limit?.output),
      cost_input: price(model.cost?.input),
      cost_output: price(model.cost?.output),
      tools: model.capabilities?.toolcall !== false,
      images: model.capabilities?.input?.image === true,
      reasoning: model.capabilities?.reasoning === true,
      released: text(model.release_date),
      wire: wireOf(model.api.npm),
      variants: Object.keys(model.variants ?? {}).map(text),
    })),
  }
}
