/**
 * `/rate_limit_status` in the terminal interface: once in its list, and never a request.
 *
 * The server plugin registers a command of that name for every front end, and the interface lists it; a second one from
 * here would stand beside it. So what is typed is listened for: entered, it opens the dialog instead of being sent. Only
 * where the server does not have it, it becomes a command of the interface's own.
 */

import type { TuiPluginApi } from "@opencode-ai/plugin/tui"

type Layer = Parameters<TuiPluginApi["keymap"]["registerLayer"]>[0]
type Command = NonNullable<Layer["commands"]>[number]

const ENTER = new Set(["return", "enter", "linefeed", "kpenter"])

export async function slash(api: TuiPluginApi, name: string, command: Command, run: () => void): Promise<void> {
  api.keymap.intercept("key", ({ event, consume }) => {
    if (!ENTER.has(event.name) || event.shift || event.ctrl || event.meta || api.ui.dialog.open) return
    const editor = api.renderer.currentFocusedEditor
    if (editor?.plainText.trim() !== `/${name}`) return
    consume()
    editor.clear()
    run()
  })
  const listed = await api.client.command.list().then(
    ({ data }) => data?.some((known) => known.name === name) ?? false,
    () => false,
  )
  if (api.lifecycle.signal.aborted) return
  api.keymap.registerLayer({ commands: [listed ? command : { ...command, slashName: name }] })
}
