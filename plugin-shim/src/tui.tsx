/** @jsxImportSource @opentui/solid */
/**
 * The plugin OpenCode's terminal interface loads (listed in `tui.json`): the line beside the prompt, the block in the
 * sidebar, `/rate_limit_status` and the commands of the palette, all fed by what the daemon pushes.
 *
 * Nothing but wiring, and no policy. Nothing may be thrown into the interface, whatever the daemon does. The default export
 * must stay the only one.
 */

import type { TuiPlugin } from "@opencode-ai/plugin/tui"
import { createSignal } from "solid-js"
import { realClock } from "./clock.ts"
import { socketPath, UnixTransport } from "./daemon.ts"
import { Actions } from "./tui/actions.ts"
import { counts, type Glance } from "./tui/glance.ts"
import { Listening, type Trouble } from "./tui/listen.ts"
import { slash } from "./tui/slash.ts"
import { PromptLine, Report, SidebarBlock, type Shown } from "./tui/view.tsx"

const COMMAND = "rate_limit_status"
const CATEGORY = "Rate limits"
const TICK_MS = 1_000
/** Among OpenCode's own blocks of the sidebar: after the context, which is 100. */
const ORDER = 150

const tui: TuiPlugin = async (api) => {
  const clock = realClock
  const socket = socketPath(process.env)
  const seconds = () => clock.now() / 1_000
  const [glance, setGlance] = createSignal<Glance>()
  const [trouble, setTrouble] = createSignal<Trouble>()
  const [now, setNow] = createSignal(seconds())
  const shown: Shown = { glance, trouble, now }

  let stopTicking = () => {}
  const tick = () => {
    stopTicking()
    setNow(seconds())
    // Time moves on the screen only while something counts down.
    if (counts(glance(), seconds())) stopTicking = clock.after(TICK_MS, tick)
  }
  const listening = new Listening(socket, clock, {
    status: (heard) => {
      setTrouble(undefined)
      setGlance(heard)
      tick()
    },
    trouble: (why) => setTrouble(why),
  })
  api.lifecycle.onDispose(() => {
    stopTicking()
    listening.close()
  })

  const actions = new Actions(api, new UnixTransport(socket, undefined), clock, glance)
  const status = () => {
    api.ui.dialog.replace(() => <Report api={api} shown={shown} />)
    api.ui.dialog.setSize("large")
  }
  const command = (name: string, title: string, desc: string, run: () => void) => ({
    namespace: "palette",
    name: `rate_limit.${name}`,
    title,
    desc,
    category: CATEGORY,
    run,
  })
  api.keymap.registerLayer({
    commands: [
      command("use", "Use a provider now", "Pick the provider to be used in every session", () => actions.use()),
      command("auto", "Use what is selected again", "Take back the provider picked by hand", () => actions.auto()),
      command("toggle", "Disable or enable a provider", "Do not use a provider, or use it again", () => actions.toggle()),
      command("clear", "End a cooldown", "Use a limited provider again at once", () => actions.clear()),
    ],
  })
  const shows = command("status", "Show rate limits", "Rate limits, cooldowns and what comes next", status)
  void slash(api, COMMAND, shows, status)

  api.slots.register({
    order: ORDER,
    slots: {
      home_prompt_right: () => <PromptLine api={api} shown={shown} />,
      session_prompt_right: (_, { session_id }) => <PromptLine api={api} shown={shown} session={session_id} />,
      sidebar_content: (_, { session_id }) => <SidebarBlock api={api} shown={shown} session={session_id} />,
    },
  })
  listening.start()
}

export default { id: "rate-limit-sidecar", tui }
