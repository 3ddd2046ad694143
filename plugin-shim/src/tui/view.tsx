/** @jsxImportSource @opentui/solid */
/**
 * What is drawn: the line beside the prompt, the block in the sidebar, the report. Words come from `glance.ts`, colours from
 * the theme; nothing here asks anybody or decides anything.
 */

import { useTerminalDimensions } from "@opentui/solid"
import type { TuiPluginApi } from "@opencode-ai/plugin/tui"
import { For, Show } from "solid-js"
import type { Trouble } from "./listen.ts"
import { block, oneLine, report, type Glance, type Line, type Piece } from "./glance.ts"

export interface Shown {
  glance(): Glance | undefined
  trouble(): Trouble | undefined
  /** Epoch seconds; moves while something counts down. */
  now(): number
}

type Api = TuiPluginApi

/** From this width on OpenCode shows its sidebar, which is this wide. */
const SIDEBAR_FROM = 121
const SIDEBAR = 42
const SIDEBAR_TEXT = 36
/** What agent and model take of the prompt's last line, roughly. */
const AGENT_AND_MODEL = 40
const HOME_PROMPT = 75

function color(api: Api, tone: Piece["tone"]) {
  const theme = api.theme.current
  return { text: theme.text, muted: theme.textMuted, success: theme.success, warning: theme.warning, error: theme.error, accent: theme.accent }[tone]
}

/** An error while drawing would end OpenCode's whole interface. */
function safely<T>(work: () => T, otherwise: T): T {
  try {
    return work()
  } catch {
    return otherwise
  }
}

function Words(props: { api: Api; line: Line }) {
  return (
    <text fg={props.api.theme.current.textMuted} wrapMode="none">
      <For each={props.line}>{(part) => <span style={{ fg: color(props.api, part.tone) }}>{part.text}</span>}</For>
    </text>
  )
}

/** The line beside the prompt; it says less where there is less room. */
export function PromptLine(props: { api: Api; shown: Shown; session?: string | undefined }) {
  const size = useTerminalDimensions()
  const room = () => {
    const whole = size().width
    const prompt = props.session === undefined ? Math.min(HOME_PROMPT, whole - 4) : whole - (whole >= SIDEBAR_FROM ? SIDEBAR : 0) - 8
    return Math.max(2, prompt - AGENT_AND_MODEL)
  }
  const line = (): Line => {
    const glance = props.shown.glance()
    const trouble = props.shown.trouble()
    if (trouble) return [{ text: trouble.short.length > room() ? "?" : trouble.short, tone: "warning" }]
    return glance ? safely(() => oneLine(glance, props.session, props.shown.now(), room()), []) : []
  }
  return <Words api={props.api} line={line()} />
}

/** The block in the sidebar. */
export function SidebarBlock(props: { api: Api; shown: Shown; session: string }) {
  const lines = () => {
    const glance = props.shown.glance()
    return glance ? safely(() => block(glance, props.session, props.shown.now(), SIDEBAR_TEXT), []) : []
  }
  return (
    <box>
      <text fg={props.api.theme.current.text}>
        <b>Rate limits</b>
      </text>
      <Show when={props.shown.trouble()} fallback={<For each={lines()}>{(line) => <Words api={props.api} line={line} />}</For>}>
        {(why) => <text fg={props.api.theme.current.warning}>{why().long}</text>}
      </Show>
    </box>
  )
}

/** The report, in a dialog: live, and scrolled with the keyboard where it is longer than the terminal is high. */
export function Report(props: { api: Api; shown: Shown }) {
  const size = useTerminalDimensions()
  const width = () => Math.min(84, size().width - 8)
  const lines = () => {
    const glance = props.shown.glance()
    return glance ? safely(() => report(glance, props.shown.now(), width()), []) : []
  }
  const height = () => Math.max(3, Math.min(lines().length, Math.floor(size().height * 0.75) - 6))
  const theme = () => props.api.theme.current
  return (
    <box paddingLeft={2} paddingRight={2} paddingBottom={1} gap={1}>
      <box flexDirection="row" justifyContent="space-between">
        <text fg={theme().text}>
          <b>Rate limits</b>
        </text>
        <text fg={theme().textMuted}>{lines().length > height() ? "↑↓ scroll  esc" : "esc"}</text>
      </box>
      <Show when={props.shown.trouble()}>{(why) => <text fg={theme().warning}>{why().long}</text>}</Show>
      <scrollbox
        focused
        height={height()}
        scrollbarOptions={{ visible: false }}
        ref={(box) => setTimeout(() => !box.isDestroyed && box.focus(), 1)}
      >
        <For each={lines()}>{(line) => <Words api={props.api} line={line} />}</For>
      </scrollbox>
    </box>
  )
}
