import { describe, expect, test } from "bun:test"
import { Outbox, type Item } from "../src/outbox.ts"
import { FakeClock, settle } from "./fake.ts"

function setup(limit = 5, batch = 3) {
  const clock = new FakeClock()
  const sent: number[][] = []
  const state = { up: true, hold: undefined as Promise<void> | undefined }
  const send = async (items: Item<number>[]) => {
    await state.hold
    if (state.up) sent.push(items.map(({ value }) => value))
    return state.up
  }
  return { clock, sent, state, outbox: new Outbox<number>({ clock, limit, batch, delayMs: 100, retryMs: 1_000, send }) }
}

describe("outbox", () => {
  test("gathers for a while, then sends in order", async () => {
    const { clock, sent, outbox } = setup()
    outbox.add(1)
    outbox.add(2)
    await clock.advance(99)
    expect(sent).toEqual([])
    await clock.advance(1)
    expect(sent).toEqual([[1, 2]])
    expect([outbox.size, clock.pending]).toEqual([0, 0])
  })

  test("sends a full batch at once, the rest in its turn", async () => {
    const { sent, outbox } = setup(10)
    for (const value of [1, 2, 3, 4]) outbox.add(value)
    await settle()
    expect(sent).toEqual([[1, 2, 3], [4]])
  })

  test("keeps what could not be delivered and tries again", async () => {
    const { clock, sent, state, outbox } = setup()
    state.up = false
    for (const value of [1, 2, 3]) outbox.add(value)
    await clock.advance(3_000)
    expect([sent, outbox.size]).toEqual([[], 3])
    state.up = true
    await clock.advance(1_000)
    expect(sent).toEqual([[1, 2, 3]])
  })

  test("does not try again with every report while nothing can be delivered", async () => {
    const clock = new FakeClock()
    let calls = 0
    const send = async () => (calls++, false)
    const outbox = new Outbox<number>({ clock, limit: 50, batch: 2, delayMs: 0, retryMs: 1_000, send })
    for (let value = 0; value < 20; value++) {
      outbox.add(value)
      await settle()
    }
    expect(calls).toBe(1)
  })

  test("takes a broken delivery for a failed one", async () => {
    const clock = new FakeClock()
    let calls = 0
    const send = () => (calls++, Promise.reject(new Error("broken")))
    const outbox = new Outbox<number>({ clock, limit: 5, batch: 1, delayMs: 0, retryMs: 1_000, send })
    outbox.add(1)
    await clock.advance(1_000)
    expect([calls, outbox.size]).toEqual([2, 1])
  })

  test("is bounded: the oldest go and are counted, also while a delivery is on its way", async () => {
    const { sent, state, outbox } = setup(5, 3)
    let release = () => {}
    state.hold = new Promise((resolve) => (release = resolve))
    for (let value = 1; value <= 8; value++) outbox.add(value)
    expect([outbox.size, outbox.dropped]).toEqual([5, 3])
    release()
    await settle()
    expect(sent).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8],
    ])
    expect(outbox.size).toBe(0)
  })

  test("delivers one batch after the other, never two at a time", async () => {
    const { sent, state, outbox } = setup(10, 2)
    let release = () => {}
    state.hold = new Promise((resolve) => (release = resolve))
    outbox.add(1)
    outbox.add(2)
    void outbox.flush()
    outbox.add(3)
    outbox.add(4)
    expect(sent).toEqual([])
    release()
    await settle()
    expect(sent).toEqual([
      [1, 2],
      [3, 4],
    ])
  })

  test("lets go of its timer when closed", () => {
    const { clock, outbox } = setup()
    outbox.add(1)
    expect(clock.pending).toBe(1)
    outbox.close()
    expect(clock.pending).toBe(0)
  })
})
