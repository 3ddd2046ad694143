import { expect, test } from "bun:test"
import type { HelloReply, Toast } from "../src/protocol.ts"
import { Welcome } from "../src/welcome.ts"

function setup() {
  const toasts: Toast[] = []
  const logs: string[] = []
  const host = {
    settled: [] as HelloReply[],
    voice: { settle: (reply: HelloReply) => void host.settled.push(reply) },
    toast: (toast: Toast) => void toasts.push(toast),
    log: (_: string, text: string) => void logs.push(text),
  }
  const welcome = new Welcome(host)
  welcome.met()
  const hear = (reply: Partial<HelloReply>) => {
    welcome.hear({ protocol: 1, version: "1", ...reply })
    return toasts.splice(0).map(({ title, message }) => [title, message])
  }
  return { hear, host, logs }
}

test("an OpenCode that was tried needs no word", () => {
  const { hear } = setup()
  expect(hear({ handover: true })).toEqual([])
  expect(hear({})).toEqual([])
})

test("why running turns are not moved is said once, again when the reason changes, and when it is over", () => {
  const { hear } = setup()
  const first = hear({ handover: false, handover_why: "OpenCode 2 is new." })
  expect(first).toMatchObject([["Running turns are not moved", expect.stringMatching(/^OpenCode 2 is new\. Turns/)]])
  expect(hear({ handover: false, handover_why: "OpenCode 2 is new." })).toEqual([])
  expect(hear({ handover: false, handover_why: "It failed." })[0]?.[1]).toMatch(/^It failed\. Turns/)
  expect(hear({ handover: true })).toMatchObject([["Running turns are moved", expect.anything()]])
  expect(hear({ handover: true })).toEqual([])
  expect(hear({ handover: false })[0]?.[1]).toMatch(/^Turns/)
})

test("what nobody could see yet is shown with the first message", () => {
  const shown: string[] = []
  const voice = { settle: () => undefined }
  const host = { voice, toast: ({ title }: Toast) => void shown.push(title), log: () => undefined }
  const welcome = new Welcome(host)
  welcome.hear({ protocol: 1, version: "1", handover: false, handover_why: "New.", warnings: ["a"] })
  expect(shown).toEqual([])
  welcome.met()
  welcome.met()
  expect(shown).toEqual(["Rate-limit configuration", "Running turns are not moved"])
})

test("warnings are said once as long as they last", () => {
  const { hear, logs } = setup()
  expect(hear({ warnings: ["a", "b"] })).toEqual([["Rate-limit configuration", "a\nb"]])
  expect(hear({ warnings: ["b", "c"] })).toEqual([["Rate-limit configuration", "c"]])
  expect(hear({ warnings: ["b", "c"] })).toEqual([])
  expect(hear({})).toEqual([])
  expect(hear({ warnings: ["b"] })).toEqual([["Rate-limit configuration", "b"]])
  expect(logs).toEqual(["a", "b", "c", "b"])
})

test("what the configuration says about being heard is handed on", () => {
  const { hear, host } = setup()
  hear({ toasts: false })
  expect(host.settled).toMatchObject([{ toasts: false }])
})
