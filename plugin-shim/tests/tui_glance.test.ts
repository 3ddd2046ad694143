import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  amount,
  bar,
  block,
  cooling,
  counts,
  left,
  oneLine,
  parseGlance,
  report,
  stateWords,
  tightest,
  widthOf,
  type Glance,
  type Line,
  type ModelGlance,
  type ProviderGlance,
  type Reading,
} from "../src/tui/glance.ts"

const NOW = 1_700_000_000
const said = (line: Line): string => line.map(({ text }) => text).join("")
const all = (lines: Line[]): string => lines.map(said).join("\n")

const reading = (name: string, used: number, limit: number, more: Partial<Reading> = {}): Reading => ({
  name,
  unit: "requests",
  limit,
  used,
  full: used >= limit,
  frees_at: null,
  learned: false,
  ...more,
})
const model = (id: string, more: Partial<ModelGlance> = {}): ModelGlance => ({
  id,
  state: "available",
  why: "",
  until: null,
  readings: [],
  ...more,
})
const provider = (id: string, more: Partial<ProviderGlance> = {}): ProviderGlance => ({
  ...model(id),
  name: "",
  requests: 0,
  tokens: 0,
  cost: 0,
  errors: 0,
  models: [],
  ...more,
})
const limitedAlpha = provider("alpha", {
  state: "unavailable",
  why: "rate limit",
  until: NOW + 250,
  requests: 1,
  errors: 1,
  models: [model("m1", { state: "unavailable", why: "rate limit", until: NOW + 250 })],
})
const glance = (more: Partial<Glance> = {}): Glance => ({
  at: NOW,
  current: "beta/m1",
  picked: null,
  sessions: { s: { wanted: "alpha/m1", current: "beta/m1" }, calm: { wanted: "beta/m1", current: "beta/m1" } },
  providers: [limitedAlpha, provider("beta", { readings: [reading("rpm", 12, 20)], requests: 12, tokens: 15_400 })],
  ...more,
})

describe("numbers", () => {
  test.each([
    [-1, "0 s"],
    [41.2, "42 s"],
    [60, "1:00"],
    [250, "4:10"],
    [3_599.5, "1 h 00"],
    [3_900, "1 h 05"],
    [183_600, "2 d 3 h"],
  ] as [number, string][])("%d seconds are left as %s", (seconds, text) => expect(left(seconds)).toBe(text))

  test.each([
    [9_999, "tokens", "9999"],
    [12_345, "tokens", "12.3k"],
    [20_000, "tokens", "20k"],
    [3_000_000, "tokens", "3M"],
    [2_500_000_000, "tokens", "2.5G"],
    [0.4, "usd", "$0.40"],
  ] as [number, Reading["unit"], string][])("%d %s is written %s", (value, unit, text) =>
    expect(amount(value, unit)).toBe(text),
  )

  test("a bar shows what is used at all, and never looks full before it is", () => {
    expect(said(bar(reading("rpm", 0, 10), 8))).toBe("────────")
    expect(said(bar(reading("rpm", 0.1, 1000), 8))).toBe("━───────")
    expect(said(bar(reading("rpm", 999, 1000), 8))).toBe("━━━━━━━─")
    expect(said(bar(reading("rpm", 1000, 1000), 8))).toBe("━━━━━━━━")
    expect(bar(reading("rpm", 9, 10), 8)[0]?.tone).toBe("warning")
    expect(bar(reading("rpm", 10, 10), 8)[0]?.tone).toBe("error")
  })

  test("a bar is as wide as it shall be, whatever the numbers", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), fc.integer({ min: -2, max: 60 }), fc.boolean(), (used, limit, width, full) => {
        expect(widthOf(bar({ ...reading("rpm", used, limit), full }, width))).toBe(Math.max(0, width))
      }),
    )
  })

  test("the tightest limit is the one most used, of the provider or its model", () => {
    const p = provider("a", {
      readings: [reading("rpm", 1, 10), reading("rpd", 50, 100), reading("rph", 5, 0)],
      models: [model("m", { readings: [reading("tpm", 9, 10)] })],
    })
    expect(tightest(p)?.name).toBe("rpd")
    expect(tightest(p, "m")?.name).toBe("tpm")
    expect(tightest(undefined)).toBeUndefined()
  })
})

describe("the line", () => {
  test("says where the session is, how full it is, and what is cooling down until when", () => {
    expect(said(oneLine(glance(), "s", NOW, 60))).toBe("→ beta/m1 · ━━━━━─── 60% · ✗ alpha 4:10")
    expect(said(oneLine(glance(), "calm", NOW + 200, 60))).toBe("beta/m1 · ━━━━━─── 60% · ✗ alpha 50 s")
    expect(said(oneLine(glance(), undefined, NOW, 60))).toBe("beta/m1 · ━━━━━─── 60% · ✗ alpha 4:10")
  })

  test("says less where there is less room, and most important last", () => {
    const at = (room: number) => said(oneLine(glance(), "s", NOW, room))
    expect(at(34)).toBe("→ beta · ━━━── 60% · ✗ alpha 4:10")
    expect(at(22)).toBe("→ beta · ✗ alpha 4:10")
    expect(at(14)).toBe("✗ alpha 4:10")
    expect(at(8)).toBe("✗ alpha")
    expect(at(3)).toBe("✗")
    expect(said(oneLine(glance({ providers: [] }), "nobody", NOW, 20))).toBe("✓")
  })

  test("is never longer than its room", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 120 }), fc.integer({ min: -100, max: 400 }), (room, later) => {
        expect(widthOf(oneLine(glance(), "s", NOW + later, room))).toBeLessThanOrEqual(room)
      }),
    )
  })
})

describe("the block", () => {
  test("says the same on a few lines", () => {
    expect(all(block(glance(), "s", NOW, 36))).toBe(
      ["→ beta/m1", "  instead of alpha/m1", "━━━━━━━━━━────── rpm 12/20", "✗ alpha 4:10  rate limit"].join("\n"),
    )
    expect(all(block(glance({ providers: [], current: null }), "nobody", NOW, 36))).toBe("✓ nothing is limited")
  })

  test("names what is picked by hand, and not more than four in trouble", () => {
    const bad = ["a", "b", "c", "d", "e", "f"].map((id) => ({ ...limitedAlpha, id }))
    const text = all(block(glance({ providers: bad, picked: { provider: "b", model: "m", until: null } }), "s", NOW, 36))
    expect(text).toContain("★ b/m, picked by hand")
    expect(text).toEndWith("and 2 more")
  })

  test("fits the sidebar, whatever names there are", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 80 }), fc.string({ maxLength: 80 }), (id, why) => {
        const long = glance({
          sessions: { s: { wanted: `${id}/${id}`, current: `${id}x/${id}` } },
          providers: [{ ...limitedAlpha, id, why }],
        })
        for (const line of block(long, "s", NOW, 36)) expect(widthOf(line)).toBeLessThanOrEqual(36)
      }),
    )
  })
})

describe("the report", () => {
  test("says everything once", () => {
    expect(all(report(glance(), NOW, 60))).toBe(
      [
        "✗ alpha  unavailable",
        "  rate limit, free in 4:10",
        "  1 request, 1 error today",
        "  ✗ m1  unavailable",
        "",
        "✓ beta  available",
        "  ━━━━━━━━━━━━━━──────────  rpm 12/20",
        "  12 requests, 15.4k tokens today",
        "",
        "Used last: beta/m1",
      ].join("\n"),
    )
  })

  test("says what is disabled, full, picked, or not known yet", () => {
    const providers = [
      provider("off", { state: "disabled", why: "disabled by hand" }),
      provider("full", { readings: [reading("rpd", 5, 5, { frees_at: NOW + 60 })], cost: 0.5 }),
      provider("some", {
        state: "limited",
        models: [model("m", { state: "unavailable", why: "overloaded", until: NOW + 5, readings: [reading("tpm", 1, 9)] })],
      }),
    ]
    const text = all(report(glance({ providers, picked: { provider: "full", model: null, until: NOW + 60 } }), NOW, 60))
    expect(text).toContain("○ off  disabled\n  disabled by hand\n")
    expect(text).toContain("rpd 5/5, room in 1:00\n  $0.50 today")
    expect(text).toContain("  ✗ m  unavailable\n    overloaded, free in 5 s\n    ━━━")
    expect(text).toContain("Picked by hand: full for 1:00")
    expect(all(report(glance({ providers: [], current: null }), NOW, 60))).toStartWith("Nothing is known yet")
  })

  test("fits a narrow terminal", () => {
    for (const line of report(glance(), NOW, 44)) expect(widthOf(line)).toBeLessThanOrEqual(44)
  })
})

test("what can be ended by hand is every cooldown, of providers and of models", () => {
  expect(cooling(glance(), NOW).map((c) => [c.target, c.why])).toEqual([
    ["alpha", "rate limit, 4:10"],
    ["alpha/m1", "rate limit, 4:10"],
  ])
  expect(cooling(glance({ providers: [provider("off", { state: "disabled", until: NOW + 9 })] }), NOW)).toEqual([])
})

test("a provider's state fits on one line", () => {
  expect(stateWords(limitedAlpha, NOW)).toBe("unavailable: rate limit, 4:10")
  expect(stateWords(provider("b", { readings: [reading("rpm", 12, 20)] }), NOW)).toBe("available: rpm 60%")
  expect(stateWords(provider("c"), NOW)).toBe("available")
})

test("time moves on the screen only while something counts down", () => {
  expect(counts(glance(), NOW)).toBe(true)
  expect(counts(glance(), NOW + 250)).toBe(false)
  expect(counts(undefined, NOW)).toBe(false)
})

test("what is not a picture is not taken for one", () => {
  expect(parseGlance(JSON.stringify(glance()))).toEqual(glance())
  for (const bad of ["", "null", "5", "{}", '{"sessions":{},"providers":[{}]}', '{"sessions":{},"providers":[null]}']) {
    expect(parseGlance(bad)).toBeUndefined()
  }
})
