/**
 * The daemon's short picture (`status` of `GET /v1/stream?status=1`) and what people are told of it, as words and tones.
 *
 * A mirror of `sidecar/core/glance.py`. Pure: no clock, no terminal, no OpenCode; times are epoch seconds. It formats and
 * holds no number the picture does not hold.
 */

export interface Reading {
  name: string
  unit: "requests" | "tokens" | "usd"
  limit: number
  used: number
  full: boolean
  frees_at: number | null
  learned: boolean
}

export type State = "available" | "limited" | "unavailable" | "disabled"

export interface ModelGlance {
  id: string
  state: State
  why: string
  until: number | null
  readings: Reading[]
}

export interface ProviderGlance extends ModelGlance {
  name: string
  requests: number
  tokens: number
  cost: number
  errors: number
  models: ModelGlance[]
}

export interface Glance {
  at: number
  current: string | null
  picked: { provider: string; model: string | null; until: number | null } | null
  sessions: Record<string, { wanted: string; current: string }>
  providers: ProviderGlance[]
}

/** Reads what the daemon pushed; undefined when it is not of this form. */
export function parseGlance(text: string): Glance | undefined {
  try {
    const data = JSON.parse(text) as Partial<Glance> | null
    const whole =
      typeof data?.sessions === "object" &&
      Array.isArray(data.providers) &&
      data.providers.every((p) => typeof p.id === "string" && Array.isArray(p.readings) && Array.isArray(p.models))
    return whole ? (data as Glance) : undefined
  } catch {
    return undefined
  }
}

/** What a piece of text means; the view gives it the theme's colour. */
export type Tone = "text" | "muted" | "success" | "warning" | "error" | "accent"
export interface Piece {
  text: string
  tone: Tone
}
export type Line = Piece[]

const piece = (text: string, tone: Tone = "muted"): Piece => ({ text, tone })
export const widthOf = (line: Line): number => line.reduce((sum, { text }) => sum + [...text].length, 0)

const MINUTE = 60
const HOUR = 3_600
const DAY = 86_400

/** Writes seconds that are left: `42 s`, `4:10`, `1 h 05`, `2 d 3 h`. */
export function left(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  const two = (value: number) => String(value).padStart(2, "0")
  if (whole < MINUTE) return `${whole} s`
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)}:${two(whole % MINUTE)}`
  if (whole < DAY) return `${Math.floor(whole / HOUR)} h ${two(Math.floor((whole % HOUR) / MINUTE))}`
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`
}

/** Writes an amount: `31`, `12.3k`, `$0.42`. */
export function amount(value: number, unit: Reading["unit"]): string {
  if (unit === "usd") return `$${value.toFixed(2)}`
  if (value < 10_000) return String(Math.round(value))
  const [size, letter] = value < 1_000_000 ? [1_000, "k"] : value < 1_000_000_000 ? [1_000_000, "M"] : [1_000_000_000, "G"]
  return `${(value / size).toFixed(1).replace(/\.0$/, "")}${letter}`
}

const share = (reading: Reading): number => (reading.limit > 0 ? Math.min(1, reading.used / reading.limit) : 0)
const toneOf = (reading: Reading): Tone => (reading.full ? "error" : share(reading) >= 0.8 ? "warning" : "success")

/** Draws how much of a limit is used, `width` characters wide. */
export function bar(reading: Reading, width: number): Line {
  const cells = Math.max(0, Math.floor(width))
  const used = Math.round(share(reading) * cells)
  // What is used at all shows, and what is not full never looks full.
  const least = Math.min(cells, reading.used > 0 ? 1 : 0)
  const filled = reading.full ? cells : Math.max(least, Math.min(cells - 1, used))
  return [piece("━".repeat(filled), toneOf(reading)), piece("─".repeat(cells - filled))]
}

/** Gives the reading that is nearest to its limit, of a provider and of one of its models. */
export function tightest(provider: ProviderGlance | undefined, model?: string): Reading | undefined {
  const own = provider?.models.find((m) => m.id === model)?.readings ?? []
  const all = [...(provider?.readings ?? []), ...own].filter((reading) => reading.limit > 0)
  return all.reduce<Reading | undefined>((most, r) => (most && share(most) >= share(r) ? most : r), undefined)
}

const SIGNS: Record<State, [string, Tone, string]> = {
  available: ["✓", "success", "available"],
  limited: ["◐", "warning", "limited"],
  unavailable: ["✗", "error", "unavailable"],
  disabled: ["○", "muted", "disabled"],
}

const split = (target: string): [string, string] => {
  const slash = target.indexOf("/")
  return slash < 0 ? [target, ""] : [target.slice(0, slash), target.slice(slash + 1)]
}
export const pickedText = (glance: Glance): string | undefined =>
  glance.picked ? [glance.picked.provider, glance.picked.model].filter(Boolean).join("/") : undefined

/** Gives the target a session is at, undefined while that is not known; without a session, what was used last. */
export function currentOf(glance: Glance, session: string | undefined): { at?: string; away?: string } {
  if (session === undefined) return glance.current ? { at: glance.current } : {}
  const where = glance.sessions[session]
  if (!where) return {}
  return where.current === where.wanted ? { at: where.current } : { at: where.current, away: where.wanted }
}

/** Gives what is left of a wait; over, the daemon is about to say so. */
const waiting = (status: ModelGlance, now: number): string =>
  status.until === null || status.until <= now ? "" : left(status.until - now)

/** Whether anything on the screen counts down. */
export const counts = (glance: Glance | undefined, now: number): boolean =>
  glance?.providers.some((p) => [p, ...p.models].some((s) => (s.until ?? 0) > now)) ?? false

const ailing = (glance: Glance): ProviderGlance[] =>
  glance.providers.filter((p) => p.state === "unavailable" || p.state === "limited")

/** Says the whole picture in one line that is at most `room` characters long. */
export function oneLine(glance: Glance, session: string | undefined, now: number, room: number): Line {
  const { at, away } = currentOf(glance, session)
  const [id, model] = split(at ?? "")
  const reading = tightest(
    glance.providers.find((p) => p.id === id),
    model,
  )
  const moved: Tone = away ? "warning" : "muted"
  const where = (name: string): Line => (at ? [piece(away ? `→ ${name}` : name, moved)] : [])
  const percent: Line = reading ? [piece(`${Math.round(share(reading) * 100)}%`, toneOf(reading))] : []
  const tight = (width: number): Line => (reading ? [...bar(reading, width), piece(" "), ...percent] : [])
  const cooling = ailing(glance).map((p): Line => [piece(`✗ ${p.id}`, "error"), piece(` ${waiting(p, now)}`.trimEnd())])
  const soonest = cooling.slice(0, 1)
  const variants: Line[][] = [
    [where(at ?? ""), tight(8), ...cooling],
    [where(id), tight(5), ...cooling],
    [where(id), tight(5), ...soonest],
    [where(id), ...soonest],
    soonest.length > 0 ? soonest : [away ? where(id) : percent],
    soonest.map((line) => line.slice(0, 1)),
    [[piece(cooling.length > 0 ? "✗" : "✓", cooling.length > 0 ? "error" : "success")]],
  ]
  const lines = variants.map((parts) => joined(parts.filter((part) => part.length > 0)))
  return lines.find((line) => widthOf(line) <= room && line.length > 0) ?? []
}

const joined = (parts: Line[]): Line => parts.flatMap((part, i) => (i === 0 ? part : [piece(" · "), ...part]))

/** Says the picture as a few lines of at most `width` characters, for beside the conversation. */
export function block(glance: Glance, session: string | undefined, now: number, width: number): Line[] {
  const { at, away } = currentOf(glance, session)
  const [id, model] = split(at ?? "")
  const lines: Line[] = []
  if (at) lines.push([piece(away ? "→ " : "• ", away ? "warning" : "success"), piece(cut(at, width - 2), "text")])
  if (away) lines.push([piece(cut(`  instead of ${away}`, width))])
  const picked = pickedText(glance)
  if (picked) lines.push([piece("★ ", "accent"), piece(cut(`${picked}, picked by hand`, width - 2))])
  const reading = tightest(
    glance.providers.find((p) => p.id === id),
    model,
  )
  if (reading) {
    const said = ` ${reading.name} ${amount(reading.used, reading.unit)}/${amount(reading.limit, reading.unit)}`
    lines.push([...bar(reading, Math.max(4, Math.min(16, width - said.length))), piece(said)])
  }
  const bad = ailing(glance)
  for (const provider of bad.slice(0, 4)) {
    const [sign, tone] = SIGNS[provider.state]
    const wait = waiting(provider, now)
    lines.push([
      piece(`${sign} `, tone),
      piece(cut(provider.id, width - 4 - wait.length), "text"),
      ...(wait ? [piece(` ${wait}`, tone)] : []),
      piece(cut(provider.why ? `  ${provider.why}` : "", width - 3 - provider.id.length - wait.length)),
    ])
  }
  if (bad.length > 4) lines.push([piece(`and ${bad.length - 4} more`)])
  if (lines.length === 0) lines.push([piece("✓ ", "success"), piece("nothing is limited")])
  return lines
}

function cut(text: string, width: number): string {
  const letters = [...text]
  if (letters.length <= Math.max(0, width)) return text
  return width < 2 ? "" : `${letters.slice(0, width - 1).join("")}…`
}

/** Says everything, as lines of at most `width` characters. */
export function report(glance: Glance, now: number, width: number): Line[] {
  const lines: Line[] = []
  for (const provider of glance.providers) {
    if (lines.length > 0) lines.push([])
    const [sign, tone, word] = SIGNS[provider.state]
    lines.push([piece(`${sign} `, tone), piece(cut(provider.id, width - 16), "text"), piece(`  ${word}`, tone)])
    lines.push(...verdict(provider, now, width), ...provider.readings.map((r) => readingLine(r, now, width)))
    const used = [
      provider.requests > 0 && `${provider.requests} ${provider.requests === 1 ? "request" : "requests"}`,
      provider.tokens > 0 && `${amount(provider.tokens, "tokens")} tokens`,
      provider.cost > 0 && amount(provider.cost, "usd"),
      provider.errors > 0 && `${provider.errors} ${provider.errors === 1 ? "error" : "errors"}`,
    ].filter((part) => part !== false)
    if (used.length > 0) lines.push([piece(cut(`  ${used.join(", ")} today`, width))])
    for (const model of provider.models) {
      const [own, shade, state] = SIGNS[model.state]
      lines.push([piece(`  ${own} `, shade), piece(cut(model.id, width - 20), "text"), piece(`  ${state}`, shade)])
      const said = model.until === provider.until && model.why === provider.why && provider.state === "unavailable"
      if (!said) lines.push(...verdict(model, now, width, "    "))
      lines.push(...model.readings.map((r) => readingLine(r, now, width, "    ")))
    }
  }
  if (lines.length === 0) lines.push([piece("Nothing is known yet: send a first message.")])
  const picked = pickedText(glance)
  lines.push([])
  if (picked) lines.push([piece("Picked by hand: "), piece(picked, "accent"), ...until(glance.picked?.until ?? null, now)])
  lines.push([piece("Used last: "), piece(glance.current ?? "nothing yet", "text")])
  return lines
}

const until = (at: number | null, now: number): Line => (at === null ? [] : [piece(` for ${left(at - now)}`)])

function verdict(status: ModelGlance, now: number, width: number, indent = "  "): Line[] {
  if (status.state === "available" || (!status.why && status.until === null)) return []
  const wait = waiting(status, now)
  const free = wait ? `free in ${wait}` : status.until === null ? "" : "free any moment"
  return [[piece(cut(`${indent}${[status.why, free].filter(Boolean).join(", ")}`, width))]]
}

function readingLine(reading: Reading, now: number, width: number, indent = "  "): Line {
  const frees = reading.full && (reading.frees_at ?? 0) > now ? `, room in ${left((reading.frees_at ?? 0) - now)}` : ""
  const said = `  ${reading.name} ${amount(reading.used, reading.unit)}/${amount(reading.limit, reading.unit)}${frees}`
  const wide = Math.max(4, Math.min(24, width - indent.length - said.length))
  return [piece(indent), ...bar(reading, wide), piece(cut(said, width - indent.length - wide))]
}

/** Gives the targets whose cooldown a person could end: providers, and models of theirs. */
export function cooling(glance: Glance, now: number): { target: string; why: string }[] {
  const due = (s: ModelGlance) => s.state !== "disabled" && s.state !== "available" && s.until !== null
  const words = (s: ModelGlance) => [s.why, waiting(s, now)].filter(Boolean).join(", ")
  return glance.providers.flatMap((p) => [
    ...(due(p) ? [{ target: p.id, why: words(p) }] : []),
    ...p.models.filter(due).map((m) => ({ target: `${p.id}/${m.id}`, why: words(m) })),
  ])
}

/** Says in a few words how a provider is. */
export function stateWords(provider: ProviderGlance, now: number): string {
  const [, , word] = SIGNS[provider.state]
  const reading = tightest(provider)
  const wait = waiting(provider, now)
  const tight = reading ? `${reading.name} ${Math.round(share(reading) * 100)}%` : ""
  const why = provider.state === "available" ? tight : [provider.why, wait].filter(Boolean).join(", ")
  return why ? `${word}: ${why}` : word
}
