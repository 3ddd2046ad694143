/**
 * Notices providers whose requests do not pass us: another plugin sends them with a fetch it took before ours was there.
 *
 * What does not pass cannot be moved, only counted; and a tag nobody takes off would reach the provider. Bookkeeping
 * only: what was tagged and what came of it is told by the hooks.
 */

import type { BusEvent } from "./events.ts"

interface Fields {
  [name: string]: unknown
}
const fields = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {})

const SESSIONS = 500

export class Bypasses {
  readonly #providers = new Set<string>()
  /** The latest tag of each session and whose request it was for. */
  readonly #tags = new Map<string, { tag: string; provider: string }>()

  /** Whether requests to a provider are known not to pass. */
  has(provider: string): boolean {
    return this.#providers.has(provider)
  }

  tagged(session: string, provider: string, tag: string): void {
    this.#tags.delete(session)
    this.#tags.set(session, { tag, provider })
    for (const oldest of this.#tags.keys()) {
      if (this.#tags.size <= SESSIONS) break
      this.#tags.delete(oldest)
    }
  }

  /** Takes an event; gives the provider it shows to have been asked past us, the first time it does. */
  heard(event: BusEvent, session: string | undefined, missed: (tag: string) => boolean): string | undefined {
    const last = session === undefined ? undefined : this.#tags.get(session)
    if (!last || !wasAsked(event) || !missed(last.tag) || this.#providers.has(last.provider)) return undefined
    this.#providers.add(last.provider)
    return last.provider
  }
}

/** Whether an event tells that a provider was asked: it answered, refused, or is to be asked again. */
function wasAsked(event: BusEvent): boolean {
  const properties = fields(event.properties)
  switch (event.type) {
    case "session.status":
      return fields(properties["status"])["type"] === "retry"
    case "session.error":
      return fields(fields(properties["error"])["data"])["statusCode"] !== undefined
    case "message.updated":
      return Boolean(fields(fields(properties["info"])["tokens"])["output"])
    default:
      return false
  }
}
