/**
 * The one place where requests pass: `globalThis.fetch`, wrapped once per process.
 *
 * Only requests that carry our tag are looked at; the tag never leaves the process, everything else goes through as it
 * came. Several OpenCode instances (and several copies of this module) share the wrapper through a registry on
 * `globalThis`; the last one to leave takes it off. What happens to a tagged request is `attempt.ts`.
 */

import type { Outgoing } from "./reroute.ts"

export const TAG = "x-rate-limit-sidecar"
const REGISTRY = Symbol.for("opencode-rate-limit-sidecar/1")
const TAGS = 1_000
/** A tag is used again while the AI SDK retries; nothing retries for an hour. */
const TAG_LIFE_MS = 3_600_000

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>
/** Answers one tagged request; `send` is the fetch that was there before us. */
export type Carrier = (request: Outgoing, send: Fetch) => Promise<Response>

interface Registry {
  original: typeof fetch
  wrapper: typeof fetch
  users: number
  carriers: Map<string, { carry: Carrier; since: number }>
  /** Who serves a directory: when the plugin is loaded twice, the copy loaded last. */
  serving: Map<string, object>
}

const shared = globalThis as typeof globalThis & { [REGISTRY]?: Registry }

/** One user of the wrapper. */
export class Wrapping {
  readonly #registry: Registry
  readonly #directory: string
  #removed = false

  constructor(directory: string) {
    this.#directory = directory
    this.#registry = shared[REGISTRY] ??= wrap()
    this.#registry.users++
    this.#registry.serving.set(directory, this)
  }

  /** Whether no other copy of the plugin has taken this directory over. */
  get current(): boolean {
    return this.#registry.serving.get(this.#directory) === this
  }

  /** Gives a new tag; requests that carry it are answered by `carry`. */
  tag(carry: Carrier, now: number): string {
    const { carriers } = this.#registry
    for (const [id, { since }] of carriers) {
      if (carriers.size < TAGS && now - since < TAG_LIFE_MS) break
      carriers.delete(id)
    }
    const id = crypto.randomUUID()
    carriers.set(id, { carry, since: now })
    return id
  }

  remove(): void {
    const registry = this.#registry
    if (this.#removed) return
    this.#removed = true
    if (this.current) registry.serving.delete(this.#directory)
    registry.users--
    if (registry.users > 0) return
    delete shared[REGISTRY]
    // Somebody may have wrapped our wrapper: then it stays, and passes everything on.
    if (globalThis.fetch === registry.wrapper) globalThis.fetch = registry.original
  }
}

function wrap(): Registry {
  const original = globalThis.fetch
  const carriers: Registry["carriers"] = new Map()
  const send: Fetch = (input, init) => original.call(globalThis, input, init)
  const wrapped = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const id = tagOf(init?.headers ?? (input instanceof Request ? input.headers : undefined))
    if (id === undefined) return send(input, init)
    const request = await untagged(input, init)
    const carrier = carriers.get(id)
    // What is not text cannot be sent twice, and no language model is asked that way.
    if (!carrier || request.body === "") return send(request.url, request.init)
    return carrier.carry(request, send)
  }
  const wrapper = Object.assign(wrapped, { preconnect: original.preconnect })
  globalThis.fetch = wrapper
  return { original, wrapper, users: 0, carriers, serving: new Map() }
}

/** Headers in any of the forms fetch takes, as pairs. */
function pairs(headers: RequestInit["headers"]): [string, string][] {
  if (!headers) return []
  if (headers instanceof Headers) return [...headers]
  return (Array.isArray(headers) ? headers : Object.entries(headers)) as [string, string][]
}

function tagOf(headers: RequestInit["headers"]): string | undefined {
  if (headers instanceof Headers) return headers.get(TAG) ?? undefined
  return pairs(headers).find(([name]) => name.toLowerCase() === TAG)?.[1]
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
