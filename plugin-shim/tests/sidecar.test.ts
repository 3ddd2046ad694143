import { describe, expect, test } from "bun:test"
import type { Route } from "../src/protocol.ts"
import { FakeTransport, HELLO, never, PROCEED, refused, settle } from "./fake.ts"
import { ABOUT, outcome, ROUTE, setup } from "./fake_sidecar.ts"

test("whether turns may be moved is asked again now and then while they may not", async () => {
  const { clock, transport, sidecar, heard } = setup()
  expect(sidecar.handover).toBeUndefined()
  await sidecar.renew()
  const said = (handover?: boolean) =>
    transport.says("/v1/hello", { protocol: 1, version: "1", ...(handover !== undefined && { handover }) })
  said(false)
  await sidecar.route(ROUTE)
  expect([sidecar.handover, heard.length]).toEqual([false, 1])
  await sidecar.renew()
  expect(heard.length).toBe(1)
  await clock.advance(5_000)
  await sidecar.renew()
  expect([sidecar.handover, heard.length]).toEqual([false, 2])
  said(true)
  await clock.advance(5_000)
  await sidecar.renew()
  expect([sidecar.handover, heard.length]).toEqual([true, 3])
  await clock.advance(60_000)
  await sidecar.renew()
  expect(heard.length).toBe(3)
})

describe("the start", () => {
  test("finds a daemon that serves, and introduces itself before the first question", async () => {
    const { transport, sidecar, heard } = setup()
    sidecar.start()
    expect(await sidecar.route(ROUTE)).toMatchObject({ action: "proceed" })
    expect(transport.launches).toBe(0)
    expect(transport.paths()).toEqual(["/v1/hello", "/v1/route"])
    expect(transport.calls[0]?.body).toEqual(HELLO)
    expect(heard).toEqual(["greeted 1"])
  })

  test("starts one when nobody listens; the first question waits for it", async () => {
    const { clock, transport, sidecar } = setup()
    transport.serving = false
    let ready = (_: string) => {}
    transport.launched = [() => new Promise((resolve) => (ready = resolve))]
    sidecar.start()
    const asked = sidecar.route(ROUTE)
    await clock.advance(1_500)
    transport.serving = true
    ready("")
    expect(await asked).toMatchObject({ action: "proceed" })
    expect(transport.launches).toBe(1)
  })

  test("waits no longer than two seconds for it, once", async () => {
    const { transport, sidecar, timed, heard } = setup()
    transport.serving = false
    transport.launched = [never]
    sidecar.start()
    expect(await timed(sidecar.route(ROUTE))).toEqual([undefined, 2_000])
    expect(await timed(sidecar.route(ROUTE))).toEqual([undefined, 0])
    expect(heard).toEqual(["away: it did not start within two seconds"])
  })

  test("says why it could not be started", async () => {
    const { transport, sidecar, timed, heard } = setup()
    transport.serving = false
    transport.launched = [() => Promise.resolve("the configuration has an error in line 3")]
    sidecar.start()
    expect(await timed(sidecar.route(ROUTE))).toEqual([undefined, 0])
    expect(heard).toEqual(["away: the configuration has an error in line 3"])
  })

  test("still uses a daemon that is ready later", async () => {
    const { clock, transport, sidecar, heard } = setup()
    transport.serving = false
    let ready = (_: string) => {}
    transport.launched = [() => new Promise((resolve) => (ready = resolve))]
    sidecar.start()
    await clock.advance(2_000)
    transport.serving = true
    ready("")
    await settle()
    expect(await sidecar.route(ROUTE)).toMatchObject({ action: "proceed" })
    expect(heard).toEqual(["away: it did not start within two seconds", "back, 0 lost", "greeted 1"])
  })
})

describe("a question", () => {
  test.each([
    ["route", 250],
    ["outcome", 2_000],
  ] as const)("(%s) costs no more than %d ms when the daemon is frozen", async (what, ms) => {
    const { transport, sidecar, timed } = setup()
    await sidecar.route(ROUTE)
    for (const path of ["/v1/route", "/v1/outcome"]) transport.answers.set(path, never)
    const asked = what === "route" ? sidecar.route(ROUTE) : sidecar.outcome(outcome("a1"))
    expect(await timed(asked)).toEqual([undefined, ms])
  })

  test("costs no more when OpenCode does not say what is connected, and then nothing", async () => {
    const { clock, transport, sidecar, timed, heard } = setup(never)
    for (const pause of [2_000, 4_000]) {
      expect(await timed(sidecar.route(ROUTE))).toEqual([undefined, 250])
      await clock.advance(2_000)
      expect(await timed(sidecar.route(ROUTE))).toEqual([undefined, 0])
      await clock.advance(pause)
    }
    expect(transport.calls).toEqual([])
    expect(heard).toEqual(["away: OpenCode does not say which models are connected"])
  })

  test("is not asked of a daemon that refuses us, which is said once", async () => {
    const { clock, transport, sidecar, heard } = setup()
    transport.says("/v1/hello", { error: "newer" }, 400)
    for (let i = 0; i < 5; i++) {
      expect(await sidecar.route(ROUTE)).toBeUndefined()
      await clock.advance(30_000)
    }
    expect(transport.paths().filter((path) => path !== "/v1/hello")).toEqual([])
    expect(heard).toEqual(["away: it refuses us (HTTP 400)"])
    transport.answers.clear()
    expect(await sidecar.route(ROUTE)).toBeDefined()
    expect(heard.slice(1)).toEqual(["back, 0 lost", "greeted 1"])
  })

  test("is not given up because this process stood still", async () => {
    const { clock, transport, sidecar } = setup()
    await sidecar.route(ROUTE)
    let answer = (_: { status: number; data: unknown }) => {}
    transport.answers.set("/v1/route", () => new Promise((resolve) => (answer = resolve)))
    const asked = sidecar.route(ROUTE)
    await settle()
    clock.jump(10_000)
    await clock.advance(25)
    answer({ status: 200, data: PROCEED })
    expect(await asked).toMatchObject({ action: "proceed" })
  })

  test("is answered by nothing but a decision", async () => {
    const { transport, sidecar } = setup()
    for (const data of [null, {}, "yes", { action: 7 }]) {
      transport.says("/v1/route", data)
      expect(await sidecar.route(ROUTE)).toBeUndefined()
    }
    transport.says("/v1/route", PROCEED, 500)
    expect(await sidecar.route(ROUTE)).toBeUndefined()
    transport.says("/v1/route", PROCEED)
    expect(await sidecar.route(ROUTE)).toMatchObject({ action: "proceed" })
  })

  test("about a failed attempt waits no longer than any other once an answer was late", async () => {
    const { clock, transport, sidecar } = setup()
    await sidecar.route(ROUTE)
    transport.answers.set("/v1/route", never)
    transport.answers.set("/v1/outcome", never)
    const asked = sidecar.route(ROUTE)
    await clock.advance(250)
    await asked
    const began = clock.now()
    let over: number | undefined
    const reported = sidecar.outcome({ ...outcome("a"), ended: "failed" }).then(() => (over = clock.now() - began))
    for (let i = 0; i < 10; i++) await clock.advance(100)
    await reported
    expect(over).toBeLessThanOrEqual(300)
  })

  test("is not introduced to something that is no daemon", async () => {
    const { transport, sidecar, heard } = setup()
    transport.says("/v1/hello", ["hello"])
    expect(await sidecar.route(ROUTE)).toBeUndefined()
    expect(transport.paths()).not.toContain("/v1/route")
    expect(heard).toEqual([])
  })

  test("is not asked while the daemon is left alone: one second, two, four, thirty at the most", async () => {
    const { clock, transport, sidecar } = setup()
    await sidecar.route(ROUTE)
    transport.serving = false
    transport.answers.set("/v1/hello", refused)
    const pauses: number[] = []
    for (let i = 0; i < 7; i++) {
      transport.calls = []
      const began = clock.now()
      while (transport.calls.length === 0) {
        await sidecar.route(ROUTE)
        if (transport.calls.length === 0) await clock.advance(500)
      }
      pauses.push(clock.now() - began)
    }
    expect(pauses).toEqual([0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000])
  })

  test("about a failed attempt is asked in spite of one late answer, but not of a daemon that is away", async () => {
    const { clock, transport, sidecar } = setup()
    await sidecar.route(ROUTE)
    const late = async () => {
      transport.answers.set("/v1/route", never)
      const asked = sidecar.route(ROUTE)
      await clock.advance(250)
      await asked
      transport.answers.clear()
    }
    await late()
    expect(await sidecar.route(ROUTE)).toBeUndefined()
    expect(await sidecar.outcome({ ...outcome("a"), ended: "failed" })).toBeDefined()
    await late()
    await clock.advance(1_000)
    await late()
    expect(await sidecar.outcome({ ...outcome("a"), ended: "failed" })).toBeUndefined()
  })

  test("that fails with others counts once", async () => {
    const { clock, transport, sidecar } = setup()
    await sidecar.route(ROUTE)
    transport.answers.set("/v1/route", never)
    const asked = Promise.all([1, 2, 3, 4].map(() => sidecar.route(ROUTE)))
    await clock.advance(250)
    await asked
    transport.answers.clear()
    await clock.advance(1_000)
    expect(await sidecar.route(ROUTE)).toBeDefined()
  })
})

describe("away and back", () => {
  test("are said once each; one late answer is no reason", async () => {
    const { clock, transport, sidecar, heard } = setup()
    await sidecar.route(ROUTE)
    transport.answers.set("/v1/route", never)
    for (let i = 0; i < 4; i++) {
      void sidecar.route(ROUTE)
      await clock.advance(250)
      expect(heard.length).toBe(i === 0 ? 1 : 2)
      await clock.advance(30_000)
    }
    transport.answers.clear()
    await sidecar.route(ROUTE)
    await sidecar.route(ROUTE)
    expect(heard).toEqual(["greeted 1", "away: it does not answer in time", "back, 0 lost"])
  })

  test("the daemon is introduced again after it went, and after another one took its place", async () => {
    const { clock, transport, sidecar } = setup()
    await sidecar.route(ROUTE)
    transport.launched = [() => Promise.resolve("cannot be started")]
    transport.answers.set("/v1/route", refused)
    await sidecar.route(ROUTE)
    transport.answers.clear()
    transport.calls = []
    await clock.advance(1_000)
    await sidecar.route(ROUTE)
    expect(transport.paths()).toEqual(["/v1/hello", "/v1/route"])
    transport.socket = "socket-2"
    transport.calls = []
    await sidecar.route(ROUTE)
    expect(transport.paths()).toEqual(["/v1/hello", "/v1/route"])
  })

  test("a daemon that died is started again, once a minute; one that was stopped is not", async () => {
    const { clock, transport, sidecar } = setup()
    await sidecar.route(ROUTE)
    transport.answers.set("/v1/route", refused)
    transport.answers.set("/v1/hello", refused)
    await sidecar.route(ROUTE)
    expect(transport.launches).toBe(1)
    await clock.advance(30_000)
    await sidecar.route(ROUTE)
    expect(transport.launches).toBe(1)
    await clock.advance(60_000)
    await sidecar.route(ROUTE)
    expect(transport.launches).toBe(2)
    transport.serving = false
    await clock.advance(120_000)
    await sidecar.route(ROUTE)
    expect(transport.launches).toBe(2)
  })
})

describe("a pass", () => {
  const MESSAGE: Route = { ...ABOUT, at: "message" }
  const routes = (transport: FakeTransport) =>
    transport.calls.filter(({ path }) => path === "/v1/route").map(({ body }) => body as Route)

  test("spares the attempt its question; the daemon is told afterwards", async () => {
    const { clock, transport, sidecar } = setup()
    transport.says("/v1/route", { ...PROCEED, pass_s: 1 })
    await sidecar.route(MESSAGE)
    transport.answers.set("/v1/route", never)
    expect(await sidecar.route(ROUTE)).toMatchObject({ action: "proceed", reason: { code: "passed" } })
    expect(routes(transport)).toEqual([MESSAGE])
    await clock.advance(1)
    expect(routes(transport)).toEqual([MESSAGE, { ...ROUTE, passed: true }])
  })

  test("opens a turn under the daemon's seal; the daemon is told of it and of the request, in this order", async () => {
    const { clock, transport, sidecar } = setup()
    transport.says("/v1/outcome", { ...PROCEED, leave: "1.1" })
    transport.sealed = "1.1"
    await sidecar.outcome(outcome("a1"))
    const [message, attempt] = [{ ...MESSAGE, turn: "u9" }, { ...ROUTE, turn: "u9" }]
    expect(await sidecar.route(message)).toMatchObject({ reason: { code: "passed" } })
    expect(await sidecar.route(attempt)).toMatchObject({ reason: { code: "passed" } })
    expect(routes(transport)).toEqual([])
    await clock.advance(1)
    expect(routes(transport)).toEqual([
      { ...message, passed: true },
      { ...attempt, passed: true },
    ])
  })

  test("is worth nothing while the daemon does not answer", async () => {
    const { clock, transport, sidecar } = setup()
    transport.says("/v1/outcome", { ...PROCEED, leave: "1.1" })
    transport.sealed = "1.1"
    await sidecar.outcome(outcome("a1"))
    transport.answers.set("/v1/route", never)
    void sidecar.route({ ...MESSAGE, session: "ses_2" })
    await clock.advance(3_000)
    transport.says("/v1/route", PROCEED)
    expect(await sidecar.route(MESSAGE)).toMatchObject({ reason: { code: "free" } })
  })

  test("comes with the report of an answer too, and is lost when something fails", async () => {
    const { transport, sidecar } = setup()
    transport.says("/v1/outcome", { ...PROCEED, pass_s: 1 })
    await sidecar.outcome(outcome("a1"))
    transport.says("/v1/outcome", { ...PROCEED, pass_s: null })
    await sidecar.outcome({ ...outcome("a2"), session: "ses_2", ended: "failed" })
    expect(await sidecar.route(ROUTE)).toMatchObject({ reason: { code: "free" } })
    expect(routes(transport)).toEqual([ROUTE])
  })
})

test("the patience with a provider is its own, else everybody's, else without end", async () => {
  const { transport, sidecar } = setup()
  expect(sidecar.patience("alpha")).toBeUndefined()
  transport.says("/v1/hello", { protocol: 1, version: "1", first_token_timeout_s: { "*": 60, beta: 5, gamma: 0 } })
  await sidecar.route(ROUTE)
  expect(["alpha", "beta", "gamma"].map((provider) => sidecar.patience(provider))).toEqual([60_000, 5_000, undefined])
})

test("the status is the report's text, or nothing", async () => {
  const { transport, sidecar } = setup()
  transport.says("/v1/status?format=text", { text: "alpha: available" })
  expect(await sidecar.status()).toBe("alpha: available")
  transport.says("/v1/status?format=text", { other: 1 })
  expect(await sidecar.status()).toBeUndefined()
})
