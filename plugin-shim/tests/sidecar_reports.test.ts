import { describe, expect, test } from "bun:test"
import type { Outcome } from "../src/protocol.ts"
import { never, PROCEED, refused, settle } from "./fake.ts"
import { outcome, ROUTE, setup } from "./fake_sidecar.ts"

describe("reports", () => {
  test("that could not be delivered are kept and sent later with their age, in order", async () => {
    const { clock, transport, sidecar } = setup()
    await sidecar.route(ROUTE)
    transport.answers.set("/v1/outcome", refused)
    sidecar.report(outcome("a1"))
    await settle()
    sidecar.report(outcome("a2"))
    await settle()
    transport.answers.clear()
    transport.calls = []
    await clock.advance(1_000)
    const told = transport.calls.filter(({ path }) => path === "/v1/outcome").map(({ body }) => body as Outcome)
    expect(told.map(({ attempt }) => attempt)).toEqual(["a1", "a2"])
    expect(told.map(({ age_s }) => age_s)).toEqual([1, 1])
  })

  test("that are delivered carry no age", async () => {
    const { transport, sidecar } = setup()
    await sidecar.outcome(outcome("a1"))
    expect((transport.calls.at(-1)?.body as Outcome).age_s).toBeUndefined()
  })

  test("are not sent again because the daemon did not like them", async () => {
    const { clock, transport, sidecar } = setup()
    transport.says("/v1/outcome", { error: "no" }, 400)
    sidecar.report(outcome("a1"))
    await clock.advance(60_000)
    expect(transport.paths().filter((path) => path === "/v1/outcome").length).toBe(1)
  })

  test("are kept up to a bound; what was lost is said", async () => {
    const { clock, transport, sidecar, heard } = setup()
    await sidecar.route(ROUTE)
    for (const path of ["/v1/outcome", "/v1/events", "/v1/hello"]) transport.answers.set(path, refused)
    for (let i = 0; i < 510; i++) sidecar.report(outcome(`a${i}`))
    for (let i = 0; i < 1_005; i++) sidecar.event({ type: "session.idle", properties: { i } })
    await clock.advance(1_000)
    transport.answers.clear()
    await clock.advance(60_000)
    expect(heard.at(-2)).toBe("back, 15 lost")
    const told = transport.calls.filter(
      ({ path, body }) => path === "/v1/outcome" && (body as Outcome).age_s !== undefined,
    )
    expect((told.at(-1)?.body as Outcome).attempt).toBe("a509")
  })

  test("of events go in batches, in order, and bring toasts", async () => {
    const { clock, transport, sidecar, toasts } = setup()
    const toast = { title: "t", message: "m" }
    transport.says("/v1/events", { accepted: 3, toasts: [toast] })
    for (const i of [1, 2, 3]) sidecar.event({ type: "session.idle", properties: { i } })
    await clock.advance(100)
    const batches = transport.calls.filter(({ path }) => path === "/v1/events").map(({ body }) => body)
    expect(batches).toEqual([
      {
        directory: "/here",
        reports_attempts: true,
        events: [1, 2, 3].map((i) => ({ type: "session.idle", properties: { i }, age_s: 0.1 })),
      },
    ])
    expect(toasts).toEqual([toast])
  })

  test("nobody waits for show what they bring", async () => {
    const { transport, sidecar, toasts } = setup()
    const toast = { title: "t", message: "m" }
    transport.says("/v1/outcome", { ...PROCEED, toast })
    sidecar.report(outcome("a1"))
    await settle()
    expect(toasts).toEqual([toast])
  })

  test("are flushed when closing, but closing does not wait for a frozen daemon", async () => {
    const { clock, transport, sidecar, timed } = setup()
    await sidecar.route(ROUTE)
    sidecar.event({ type: "session.idle", properties: {} })
    expect((await timed(sidecar.close(500)))[1]).toBe(0)
    expect(transport.paths().at(-1)).toBe("/v1/events")
    transport.answers.set("/v1/events", never)
    sidecar.event({ type: "session.idle", properties: {} })
    expect((await timed(sidecar.close(500)))[1]).toBe(500)
    await clock.advance(10_000)
    expect(clock.pending).toBeLessThanOrEqual(1)
  })
})
