/**
 * The one place where requests pass: `globalThis.fetch`, wrapped once per process.
 *
 * Only requests that carry our tag are looked at; the tag never leaves the process, everything else goes through as it
 * came. Several OpenCode instances (and several copies of this module) share the wrapper through a registry on
 * `globalThis`; the last one to leave takes it off. What happens to a tagged request is `attempt.ts`.
 *
 * It is put on as soon as this file is read: OpenCode reads the files of all plugins before it makes the first of them,
 * and one that keeps the fetch it found for its own requests shall have found ours.
 */

import { within, type Clock } from "./clock.ts"
import type { Outgoing } from "./reroute.ts"

export const TAG = "x-rate-limit-sidecar"
const REGISTRY = Symbol.for("opencode-rate-limit-sidecar/1")
const TAGS = 1_000
/** A tag is used again while the AI SDK retries; nothing retries for an hour. */
const TAG_LIFE_MS = 3_600_000
const PROBE_MS = 250

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>
/** Answers one tagged request; `send` is the fetch that was there before us. */
export type Carrier = (request: Outgoing, send: Fetch) => Promise<Response>

interface Registry {
  original: typeof fetch
  wrapper: typeof fetch
  users: number
  carriers: Map<string, { carry: Carrier; since: number; used: boolean }>
  /** Who serves a directory: when the plugin is loaded twice, the copy loaded last. */
  serving: Map<string, object>
  /** What others put in the place of our wrapper, and whose requests pass us all the same. */
  passing: WeakSet<typeof fetch>
}

const shared = globalThis as typeof globalThis & { [REGISTRY]?: Registry }
const registry = (shared[REGISTRY] ??= made())

/** One user of the wrapper. */
export class Wrapping {
  readonly #directory: string
  #removed = false

  constructor(directory: string) {
    this.#directory = directory
    if (registry.users === 0) putOn()
    registry.users++
    registry.serving.set(directory, this)
  }

  /** Whether no other copy of the plugin has taken this directory over. */
  get current(): boolean {
    return registry.serving.get(this.#directory) === this
  }

  /**
   * Makes sure that what is sent from now on passes us: another plugin may have put its own fetch over ours, which is
   * fine, or put back the one it found before us, which takes ours off.
   */
  async hold(clock: Clock): Promise<void> {
    const now = globalThis.fetch
    if (now === registry.wrapper || registry.passing.has(now)) return
    let passed = false
    const probe = this.tag(async () => {
      passed = true
      return new Response("")
    }, clock.now())
    const headers = { [TAG]: probe }
    // Where nobody answers it, this request ends in itself: a data URL is no place in any network.
    const asked = (async () => now("data:text/plain,", { method: "POST", headers, body: "probe" }))()
    await within(
      clock,
      PROBE_MS,
      asked.catch(() => undefined),
    )
    registry.carriers.delete(probe)
    if (passed) registry.passing.add(now)
    else if (globalThis.fetch === now) putOn()
  }

  /** Gives a new tag; requests that carry it are answered by `carry`. */
  tag(carry: Carrier, now: number): string {
    const { carriers } = registry
    for (const [id, { since }] of carriers) {
      if (carriers.size < TAGS && now - since < TAG_LIFE_MS) break
      carriers.delete(id)
    }
    const id = crypto.randomUUID()
    carriers.set(id, { carry, since: now, used: false })
    return id
  }

  /** Whether the request a tag was for has not passed us; false where that is not known any more. */
  missed(tag: string): boolean {
    return registry.carriers.get(tag)?.used === false
  }

  remove(): void {
    if (this.#removed) return
    this.#removed = true
    if (this.current) registry.serving.delete(this.#directory)
    registry.users--
    // Somebody may have wrapped our wrapper: then it stays, and passes everything on.
    if (registry.users === 0 && globalThis.fetch === registry.wrapper) globalThis.fetch = registry.original
  }
}

function made(): Registry {
  const carriers: Registry["carriers"] = new Map()
  const original = globalThis.fetch
  const wrapper = (globalThis.fetch = wrapped(original, carriers))
  return { original, wrapper, users: 0, carriers, serving: new Map(), passing: new WeakSet() }
}

/** Puts our wrapper over whatever is there now. */
function putOn(): void {
  if (globalThis.fetch === registry.wrapper) return
  registry.original = globalThis.fetch
  registry.wrapper = globalThis.fetch = wrapped(registry.original, registry.carriers)
}

function wrapped(original: typeof fetch, carriers: Registry["carriers"]): typeof fetch {
  const send: Fetch = (input, init) => original.call(globalThis, input, init)
  const wrapper = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const id = tagOf(init?.headers ?? (input instanceof Request ? input.headers : undefined))
    if (id === undefined) return send(input, init)
    const request = await untagged(input, init)
    const carrier = carriers.get(id)
    if (carrier) carrier.used = true
    // What is not text cannot be sent twice, and no language model is asked that way.
    if (!carrier || request.body === "") return send(request.url, request.init)
    return carrier.carry(request, send)
  }
  return Object.assign(wrapper, { preconnect: original.preconnect })
}

/** Headers in any of the forms fetch takes, as pairs. */
function pairs(headers: RequestInit["headers"]): [string, string][] {
  if (!headers) return []
  if (headers instanceof Headers) return [...headers]
  return (Array.isArray(headers) ? headers : Object.entries(headers)) as [string, string][]
}

const tagOf = (headers: RequestInit["headers"]): string | undefined => valueOf(headers, TAG)

/** Gives a header of a request, by its name in lower case. */
export const headerOf = (request: Outgoing, name: string): string | undefined => valueOf(request.init.headers, name)

function valueOf(headers: RequestInit["headers"], wanted: string): string | undefined {
  if (headers instanceof Headers) return headers.get(wanted) ?? undefined
  return pairs(headers).find(([name]) => name.toLowerCase() === wanted)?.[1]
}

async function untagged(input: string | URL | Request, init: RequestInit | undefined): Promise<Outgoing> {
  const request = input instanceof Request ? input : undefined
  const headers = pairs(init?.headers ?? request?.headers).filter(([name]) => name.toLowerCase() !== TAG)
  const body = init?.body ?? (request?.body ? await request.text() : undefined)
  const known = request && { method: request.method, signal: request.signal, redirect: request.redirect }
  return {
    url: request?.url ?? String(input),
    init: { ...known, ...init, headers, ...(body !== undefined && { body }) },
    body: typeof body === "string" ? body : "",
  }
}
