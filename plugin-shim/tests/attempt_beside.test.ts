import { describe, expect, test } from "bun:test"
import { ALPHA, ANSWER, BETA, limited, proceed, setup, switchTo } from "./fake_attempt.ts"

describe("titles and compactions", () => {
  const beta = {
    wire: "openai-chat" as const,
    baseURL: "https://beta.test/v1",
    key: "BETA-KEY",
    model: "small-1",
    headers: {},
  }
  const small = { provider: "beta", model: "small" }

  test.each(["title", "compaction"])(
    "a %s goes to the same wire elsewhere, asked for anew under its new target",
    async (agent) => {
      const { run, editor, routes, reports, sent } = setup({ tagged: { agent }, routes: [switchTo(small), proceed] })
      editor.accesses.set("beta/small", beta)
      expect(await (await run()).text()).toBe(ANSWER)
      expect(routes.map(({ mobility, target }) => [mobility, target])).toEqual([
        ["reroute", ALPHA],
        ["reroute", small],
      ])
      expect(sent.map(({ url }) => url)).toEqual(["https://beta.test/v1/chat/completions"])
      expect(JSON.stringify([...new Headers(sent[0]?.init.headers)])).not.toContain("Bearer KEY")
      expect(JSON.parse(String(sent[0]?.init.body))).toMatchObject({ model: "small-1" })
      expect(reports).toMatchObject([{ target: small, attempt: routes[1]?.attempt ?? "" }])
      expect(editor.redirected).toEqual([])
    },
  )

  test("also after a failure", async () => {
    const { run, editor, outcomes, sent } = setup({
      tagged: { agent: "title" },
      outcomes: [switchTo(small)],
      answers: [limited],
    })
    editor.accesses.set("beta/small", beta)
    expect(await (await run()).text()).toBe(ANSWER)
    expect(outcomes).toMatchObject([{ target: ALPHA, status: 429 }])
    expect(sent.length).toBe(2)
  })

  test("without a way there a title is refused and a compaction sent", async () => {
    const title = setup({ tagged: { agent: "title" }, routes: [switchTo(small)] })
    expect((await title.run()).status).toBe(400)
    expect(title.sent).toEqual([])
    const compaction = setup({ tagged: { agent: "compaction" }, routes: [switchTo(small)] })
    expect(await (await compaction.run()).text()).toBe(ANSWER)
  })

  test("do not eat the toast that waits for the step", async () => {
    const toast = { title: "Switched", message: "" }
    const { run, editor, sessions } = setup({ tagged: { agent: "title" } })
    sessions.at("ses_1").expect(ALPHA, toast)
    await run()
    expect(editor.toasts).toEqual([])
  })
})

describe("where turns may not be handed over", () => {
  const access = {
    wire: "openai-chat" as const,
    baseURL: "https://beta.test/v1",
    key: "BETA-KEY",
    model: "m1",
    headers: {},
  }
  const arrival = { title: "Switched", message: "" }

  test("a step goes to the same wire elsewhere, and nothing is stored or made up", async () => {
    const { run, editor, routes, reports } = setup({
      handover: false,
      outcomes: [{ ...switchTo(BETA), arrival }],
      answers: [limited],
    })
    editor.accesses.set("beta/m1", access)
    expect(await (await run()).text()).toBe(ANSWER)
    expect(routes.map(({ mobility, target }) => [mobility, target])).toEqual([
      ["same_wire", ALPHA],
      ["same_wire", BETA],
    ])
    expect(reports).toMatchObject([{ target: BETA, ended: "ok" }])
    expect(editor.toasts).toEqual([arrival])
    expect(editor.redirected).toEqual([])
  })

  test("a step that has no way there ends as it ended", async () => {
    const { run, editor } = setup({ handover: false, outcomes: [switchTo(BETA)], answers: [limited] })
    expect((await run()).status).toBe(429)
    expect(editor.redirected).toEqual([])
  })

  test("what the editor knows of itself counts until the daemon has spoken", async () => {
    const { run, editor, routes } = setup({})
    editor.tested = false
    await run()
    expect(routes).toMatchObject([{ mobility: "same_wire" }])
  })

  test("a handover that failed is made up for in the same way", async () => {
    const { run, editor, reports } = setup({ outcomes: [switchTo(BETA)], answers: [limited] })
    editor.redirecting = () => Promise.resolve(false)
    editor.accesses.set("beta/m1", access)
    expect(await (await run()).text()).toBe(ANSWER)
    expect(editor.redirected.length).toBe(1)
    expect(reports).toMatchObject([{ mobility: "same_wire", target: BETA, ended: "ok" }])
  })
})

test("titles and compactions need what they hold themselves, not what the conversation does", async () => {
  const { run, routes, sessions } = setup({ tagged: { agent: "compaction" } })
  sessions.at("ses_1").tokens = 99_000
  await run()
  expect(routes[0]?.needs?.context).toBeLessThan(100)
})

test("a format nobody knows is sent or not, but never moved", async () => {
  const { run, routes } = setup({ url: "https://alpha.test/v9/converse", routes: [switchTo(BETA)] })
  expect(await (await run()).text()).toBe(ANSWER)
  expect(routes).toMatchObject([{ wire: "unknown", mobility: "fixed" }])
})
