/**
 * What a person can do from the command palette: see the report, pick a provider, switch one off and on, end a cooldown.
 *
 * Each tells the daemon and says what came of it in a toast. No policy: the daemon decides what a command means.
 */

import type { TuiPluginApi } from "@opencode-ai/plugin/tui"
import { within, type Clock } from "../clock.ts"
import type { Transport } from "../daemon.ts"
import { AWAY } from "./listen.ts"
import { cooling, pickedText, stateWords, type Glance } from "./glance.ts"

const ANSWER_MS = 3_000
const AUTO = "\u0000auto"
const EVERYTHING = "\u0000everything"

export class Actions {
  readonly #api: TuiPluginApi
  readonly #transport: Pick<Transport, "exchange">
  readonly #clock: Clock
  readonly #glance: () => Glance | undefined

  constructor(api: TuiPluginApi, transport: Pick<Transport, "exchange">, clock: Clock, glance: () => Glance | undefined) {
    this.#api = api
    this.#transport = transport
    this.#clock = clock
    this.#glance = glance
  }

  use(): void {
    this.#choose("Use a provider now", (glance, now) => {
      const picked = glance.picked
      const auto = { title: "What each session has selected", value: AUTO, description: picked ? "" : "in force" }
      const rest = glance.providers.map((p) => ({ title: p.name || p.id, value: p.id, description: stateWords(p, now) }))
      return {
        options: [auto, ...rest],
        current: picked?.provider ?? AUTO,
        chosen: (value) =>
          value === AUTO
            ? this.#tell("/v1/targets/use", {}, "Every session uses what is selected in it")
            : this.#tell("/v1/targets/use", { provider: value }, `${value} is used first, in every session, while it is free`),
      }
    })
  }

  toggle(): void {
    this.#choose("Disable or enable a provider", (glance, now) => ({
      options: glance.providers.map((p) => ({
        title: `${p.state === "disabled" ? "Enable" : "Disable"} ${p.name || p.id}`,
        value: p.id,
        description: stateWords(p, now),
      })),
      chosen: (value) => {
        const off = glance.providers.find((p) => p.id === value)?.state === "disabled"
        return off
          ? this.#tell("/v1/targets/enable", { provider: value }, `${value} is used again`)
          : this.#tell("/v1/targets/disable", { provider: value }, `${value} is not used until it is enabled again`)
      },
    }))
  }

  clear(): void {
    this.#choose("End a cooldown", (glance, now) => {
      const found = cooling(glance, now)
      if (found.length === 0) return "Nothing is cooling down"
      const options = found.map((c) => ({ title: c.target, value: c.target, description: c.why }))
      const all = { title: "Everything", value: EVERYTHING, description: "" }
      return {
        options: found.length > 1 ? [...options, all] : options,
        chosen: (value) => {
          if (value === EVERYTHING) return this.#tell("/v1/targets/clear", {}, "No cooldown is left")
          const [provider = "", ...model] = value.split("/")
          const body = { provider, ...(model.length > 0 && { model: model.join("/") }) }
          return this.#tell("/v1/targets/clear", body, `The cooldown of ${value} is over`)
        },
      }
    })
  }

  /** Takes back what was picked, when anything was. */
  auto(): void {
    const glance = this.#glance()
    const picked = glance && pickedText(glance)
    this.#api.ui.dialog.clear()
    if (picked) void this.#tell("/v1/targets/use", {}, "Every session uses what is selected in it")
    else this.#say("Nothing is picked by hand", "info")
  }

  #choose(
    title: string,
    ask: (
      glance: Glance,
      now: number,
    ) =>
      | string
      | {
          options: { title: string; value: string; description: string }[]
          current?: string
          chosen: (value: string) => Promise<void>
        },
  ): void {
    const { ui } = this.#api
    const glance = this.#glance()
    const question = glance ? ask(glance, this.#clock.now() / 1_000) : AWAY.long
    if (typeof question === "string") {
      ui.dialog.clear()
      return this.#say(question, glance ? "info" : "warning")
    }
    const { options, current, chosen } = question
    ui.dialog.replace(() =>
      ui.DialogSelect({
        title,
        options,
        ...(current !== undefined && { current }),
        onSelect: (option) => {
          ui.dialog.clear()
          void chosen(option.value)
        },
      }),
    )
  }

  async #tell(path: string, body: object, done: string): Promise<void> {
    const over = new AbortController()
    const asked = this.#transport.exchange("POST", path, body, over.signal).catch(() => undefined)
    const answer = await within(this.#clock, ANSWER_MS, asked)
    over.abort()
    if (!answer) return this.#say(AWAY.long, "error")
    const { error } = (answer.data ?? {}) as { error?: unknown }
    if (answer.status === 200) this.#say(done, "success")
    else this.#say(typeof error === "string" ? error : `The sidecar refuses (HTTP ${answer.status})`, "error")
  }

  /** Touches no dialog: what is said late would close the one that was opened meanwhile. */
  #say(message: string, variant: "info" | "success" | "warning" | "error"): void {
    this.#api.ui.toast({ message, variant })
  }
}
