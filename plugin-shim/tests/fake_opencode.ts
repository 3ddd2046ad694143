/** OpenCode's client as far as the shim uses it, storing messages the way 1.18.33 does. */

import type { PluginInput } from "@opencode-ai/plugin"

type Client = PluginInput["client"]
type Providers = Awaited<ReturnType<Client["config"]["providers"]>>
type Stored = { message: Record<string, unknown>; parts: unknown[] }
interface Prompt {
  path: { id: string }
  body: { messageID?: string; agent?: string; model?: object; variant?: string; noReply?: boolean; parts: unknown[] }
}

const model = (id: string, npm: string, more: object = {}) => ({
  id,
  name: "Model One",
  api: { id: `real-${id}`, url: "", npm },
  limit: { context: 200_000, output: 8_000 },
  cost: { input: 3, output: 15, cache: { read: 0, write: 0 } },
  capabilities: { toolcall: true, reasoning: false, input: { image: true } },
  release_date: "2026-01-02",
  variants: { high: {} },
  headers: { "x-model": "1" },
  ...more,
})
const compatible = "@ai-sdk/openai-compatible"

export class FakeOpenCode {
  readonly secrets = ["SECRET-ALPHA", "SECRET-BETA", "SECRET-CLAUDE", "SECRET-HEADER"]
  stored: Stored[] = []
  prompts: Prompt[] = []
  toasts: unknown[] = []
  logs: [string, string][] = []
  messages = new Map<string, object>()
  sessions = new Map<string, object>()
  parts = new Map<string, object[]>()
  broken = false
  /** A turn runs: nothing may be deleted. */
  busy = false
  /** The `chat.message` hook of the plugins. */
  chatMessage: (output: { message: { id: string } & Record<string, unknown>; parts: unknown[] }) => Promise<void> =
    async () => {}
  prompting: ((prompt: Prompt) => Promise<unknown>) | undefined

  agents = (): Promise<unknown> => Promise.resolve({ data: [{ name: "build" }, { name: "plan" }] })

  providers = (): Promise<Providers> =>
    Promise.resolve({
      data: {
        default: { alpha: "m1", beta: "m1" },
        providers: [
          {
            id: "alpha",
            name: "Alpha",
            options: {
              baseURL: "https://alpha.test/v1",
              apiKey: "SECRET-ALPHA",
              headers: { "x-secret": "SECRET-HEADER" },
            },
            models: { m1: model("m1", compatible) },
          },
          {
            id: "beta",
            name: "Beta",
            key: "SECRET-BETA",
            options: { baseURL: "https://beta.test/v1", headers: { "x-team": "t" } },
            models: { m1: model("m1", compatible), small: model("small", compatible) },
          },
          {
            id: "claude",
            name: "Claude",
            key: "SECRET-CLAUDE",
            options: {},
            models: { sonnet: model("sonnet", "@ai-sdk/anthropic") },
          },
          {
            id: "local",
            name: "Local",
            options: { baseURL: "http://127.0.0.1:8080/v1" },
            models: { m1: model("m1", compatible) },
          },
          {
            id: "opencode",
            name: "Zen",
            options: { apiKey: "public" },
            models: {
              free: model("free", compatible, { api: { id: "free", url: "https://zen.test/v1", npm: compatible } }),
            },
          },
        ],
      },
    } as unknown as Providers)

  async #prompt(prompt: Prompt): Promise<unknown> {
    this.prompts.push(prompt)
    if (this.prompting) return this.prompting(prompt)
    const { messageID = "msg_new", agent, model: asked, variant, parts } = prompt.body
    const output = {
      message: {
        id: messageID,
        sessionID: prompt.path.id,
        role: "user",
        agent,
        time: { created: 99 },
        model: { ...asked, variant },
      },
      parts: [...parts],
    }
    await this.chatMessage(output)
    this.stored.push(output)
    return { data: output }
  }

  #guarded<T>(work: () => T): Promise<{ data: T }> {
    return this.broken ? Promise.reject(new Error("broken")) : Promise.resolve({ data: work() })
  }

  readonly client = {
    _client: {
      get: () => Promise.resolve({ data: { healthy: true, version: "1.18.33" } }),
      delete: ({ url, path }: { url: string; path: { messageID: string } }) => {
        if (this.busy || url !== "/session/{id}/message/{messageID}") return Promise.resolve({ error: "busy" })
        return Promise.resolve({ data: this.messages.delete(path.messageID) })
      },
    },
    config: { providers: () => this.providers() },
    session: {
      prompt: (prompt: Prompt) => this.#prompt(prompt),
      get: ({ path }: { path: { id: string } }) => Promise.resolve({ data: this.sessions.get(path.id) }),
      message: ({ path }: { path: { messageID: string } }) => {
        const info = this.messages.get(path.messageID)
        return Promise.resolve({ data: info && { info, parts: this.parts.get(path.messageID) ?? [] } })
      },
    },
    tui: { showToast: ({ body }: { body: unknown }) => this.#guarded(() => this.toasts.push(body) > 0) },
    app: {
      agents: () => this.agents(),
      log: ({ body }: { body: { level: string; message: string } }) =>
        this.#guarded(() => this.logs.push([body.level, body.message]) > 0),
    },
  } as unknown as Client
}
