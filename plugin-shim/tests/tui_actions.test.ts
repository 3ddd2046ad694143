import type { TuiDialogSelectProps, TuiPluginApi } from "@opencode-ai/plugin/tui"
import { beforeEach, describe, expect, test } from "bun:test"
import type { Answer } from "../src/daemon.ts"
import { Actions } from "../src/tui/actions.ts"
import type { Glance, ProviderGlance } from "../src/tui/glance.ts"
import { AWAY } from "../src/tui/listen.ts"
import { slash } from "../src/tui/slash.ts"
import { FakeClock, never, refused, settle } from "./fake.ts"

const provider = (id: string, more: Partial<ProviderGlance> = {}): ProviderGlance => ({
  id,
  name: "",
  state: "available",
  why: "",
  until: null,
  readings: [],
  requests: 0,
  tokens: 0,
  cost: 0,
  errors: 0,
  models: [],
  ...more,
})

let clock: FakeClock
let shown: TuiDialogSelectProps<string> | undefined
let toasts: string[]
let told: { path: string; body: unknown }[]
let answer: () => Promise<Answer>
let glance: Glance | undefined
let actions: Actions

beforeEach(() => {
  clock = new FakeClock()
  const until = clock.now() / 1_000 + 60
  shown = undefined
  toasts = []
  told = []
  answer = () => Promise.resolve({ status: 200, data: { ok: true } })
  glance = {
    at: 0,
    current: null,
    picked: null,
    sessions: {},
    providers: [
      provider("alpha", { name: "Alpha", state: "unavailable", why: "rate limit", until }),
      provider("beta", {
        models: [{ id: "a/b", state: "unavailable", why: "overloaded", until, readings: [] }],
        state: "limited",
      }),
      provider("off", { state: "disabled" }),
    ],
  }
  const api = {
    ui: {
      dialog: {
        replace: (render: () => unknown) => render(),
        clear: () => (shown = undefined),
      },
      DialogSelect: (props: TuiDialogSelectProps<string>) => (shown = props),
      toast: ({ message, variant }: { message: string; variant: string }) => toasts.push(`${variant}: ${message}`),
    },
  } as unknown as TuiPluginApi
  const exchange = (_: "GET" | "POST", path: string, body: unknown) => {
    told.push({ path, body })
    return answer()
  }
  actions = new Actions(api, { exchange }, clock, () => glance)
})

const titles = () => shown?.options.map((option) => `${option.title}: ${option.description}`)
async function choose(value: string): Promise<void> {
  const option = shown?.options.find((o) => o.value === value || o.title === value)
  if (!option) throw new Error(`no ${value} among ${titles()}`)
  shown?.onSelect?.(option)
  await settle()
}

describe("a person", () => {
  test("picks the provider to be used now, or leaves it to the sessions", async () => {
    actions.use()
    expect(titles()).toEqual([
      "What each session has selected: in force",
      "Alpha: unavailable: rate limit, 1:00",
      "beta: limited",
      "off: disabled",
    ])
    await choose("beta")
    expect(told).toEqual([{ path: "/v1/targets/use", body: { provider: "beta" } }])
    expect(toasts).toEqual(["success: beta is used first, in every session, while it is free"])
    if (glance) glance.picked = { provider: "beta", model: null, until: null }
    actions.use()
    expect(shown?.current).toBe("beta")
    await choose("What each session has selected")
    expect(told[1]).toEqual({ path: "/v1/targets/use", body: {} })
  })

  test("takes back what was picked", async () => {
    actions.auto()
    expect(toasts).toEqual(["info: Nothing is picked by hand"])
    if (glance) glance.picked = { provider: "beta", model: "m", until: null }
    actions.auto()
    await settle()
    expect(told).toEqual([{ path: "/v1/targets/use", body: {} }])
  })

  test("keeps the dialog that was opened before an answer came", async () => {
    let arrive = (_: Answer): void => undefined
    answer = () => new Promise((resolve) => (arrive = resolve))
    if (glance) glance.picked = { provider: "beta", model: null, until: null }
    actions.auto()
    actions.toggle()
    arrive({ status: 200, data: { ok: true } })
    await settle()
    expect(toasts).toHaveLength(1)
    expect(titles()).toHaveLength(3)
  })

  test("switches a provider off, and on again", async () => {
    actions.toggle()
    expect(titles()?.map((title) => title.split(":")[0])).toEqual(["Disable Alpha", "Disable beta", "Enable off"])
    await choose("beta")
    actions.toggle()
    await choose("off")
    expect(told.map(({ path }) => path)).toEqual(["/v1/targets/disable", "/v1/targets/enable"])
  })

  test("ends one cooldown, or all", async () => {
    actions.clear()
    await choose("beta/a/b")
    actions.clear()
    await choose("alpha")
    actions.clear()
    await choose("Everything")
    expect(told.map(({ body }) => body)).toEqual([{ provider: "beta", model: "a/b" }, { provider: "alpha" }, {}])
    if (glance) glance.providers = []
    actions.clear()
    expect(toasts.at(-1)).toBe("info: Nothing is cooling down")
  })

  test("is told what went wrong, in the daemon's words where there are any", async () => {
    glance = { ...(glance as Glance), picked: { provider: "x", model: null, until: null } }
    const ask = async (how: () => Promise<Answer>) => {
      answer = how
      actions.auto()
      await settle()
      await clock.advance(3_000)
    }
    await ask(() => Promise.resolve({ status: 422, data: { error: "no provider 'x'" } }))
    await ask(() => Promise.resolve({ status: 500, data: null }))
    await ask(refused)
    await ask(never)
    glance = undefined
    actions.use()
    expect(toasts).toEqual([
      "error: no provider 'x'",
      "error: The sidecar refuses (HTTP 500)",
      `error: ${AWAY.long}`,
      `error: ${AWAY.long}`,
      `warning: ${AWAY.long}`,
    ])
  })
})

describe("/rate_limit_status", () => {
  const NAME = "rate_limit_status"
  const command = { namespace: "palette", name: "status", title: "Show", run: () => undefined }

  function host(listed: () => Promise<{ data?: { name: string }[] }>, open = false) {
    const made = { layers: [] as unknown[], opened: 0, text: `/${NAME} `, consumed: 0 }
    let key: ((context: object) => void) | undefined
    const editor = {
      get plainText() {
        return made.text
      },
      clear: () => (made.text = ""),
    }
    const api = {
      client: { command: { list: listed } },
      lifecycle: { signal: new AbortController().signal },
      keymap: {
        registerLayer: (layer: { commands: unknown[] }) => made.layers.push(...layer.commands),
        intercept: (_: string, heard: (context: object) => void) => (key = heard),
      },
      renderer: { currentFocusedEditor: editor },
      ui: { dialog: { open } },
    } as unknown as TuiPluginApi
    const press = (name: string, more: object = {}) =>
      key?.({ event: { name, shift: false, ctrl: false, meta: false, ...more }, consume: () => made.consumed++ })
    return { api, made, press }
  }

  test("is the interface's own where the server has none, or cannot be asked", async () => {
    for (const listed of [() => Promise.resolve({ data: [{ name: "init" }] }), () => refused()]) {
      const { api, made } = host(listed)
      await slash(api, NAME, command, () => made.opened++)
      expect(made.layers).toEqual([{ ...command, slashName: NAME }])
    }
  })

  test("is the server's where it has one, and opens the dialog instead of being sent", async () => {
    const { api, made, press } = host(() => Promise.resolve({ data: [{ name: NAME }] }))
    await slash(api, NAME, command, () => made.opened++)
    expect(made.layers).toEqual([command])
    press("a")
    press("return", { shift: true })
    expect(made.opened).toBe(0)
    press("return")
    expect([made.opened, made.text, made.consumed]).toEqual([1, "", 1])
    made.text = "tell me of /rate_limit_status"
    press("return")
    expect(made.opened).toBe(1)
  })

  test("leaves the keys alone while a dialog is open", async () => {
    const { api, made, press } = host(() => Promise.resolve({ data: [{ name: NAME }] }), true)
    await slash(api, NAME, command, () => made.opened++)
    press("return")
    expect(made.opened).toBe(0)
  })
})
