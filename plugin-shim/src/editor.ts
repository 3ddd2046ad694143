/**
 * What the rest of the shim needs of the editor it runs in, and nothing more.
 *
 * The seam for another version of OpenCode, or another editor: implement this, call the hooks of `server.ts`. Types only.
 */

import type { Hello, Target, Toast, Wire } from "./protocol.ts"

/** A user message, as the editor stores it; only the adapter looks inside. */
export type Message = { id: string; sessionID: string } & Record<string, unknown>

/** How to reach a target without the editor's own client. Never leaves this process. */
export interface Access {
  wire: Wire
  baseURL: string
  key: string
  /** The name the provider knows the model by. */
  model: string
  headers: Record<string, string>
}

export interface Editor {
  /** Says who we are and which models are connected; fresh at every call. */
  describe(): Promise<Hello>
  /** Whether everything the shim does was tried on this version of the editor, as far as the shim itself knows. */
  readonly tested: boolean
  /** Whether the editor has this model; asking it for one it does not have fails the user's turn. */
  has(target: Target): boolean
  access(target: Target): Access | undefined
  /** Makes `message` ask for `target`, in place; `chosen` is what the user chose for the session. False when it failed. */
  redirect(message: Message, target: Target, chosen: Target): Promise<boolean>
  /** Puts what the user chose back into a redirected message. False when it was undone meanwhile and came back empty. */
  restore(session: string, message: string, chosen: Target): Promise<boolean>
  /** Takes an empty message out of an idle conversation, and nothing but that. False when that was not possible now. */
  discard(session: string, message: string): Promise<boolean>
  /** Writes `text` so that the editor does not take it for a passing failure and tries again. */
  final(text: string): string
  /** Tells a person; `session` is whose news it is. */
  toast(toast: Toast, session?: string): void
  log(level: "debug" | "info" | "warn" | "error", text: string): void
}
