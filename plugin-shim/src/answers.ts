/**
 * What the daemon answered, looked at before anything acts on it: a daemon of another version, or something else at its
 * socket, may say whatever it likes.
 *
 * Only checks; what does not have the form of the protocol is no answer, and unknown fields are left alone.
 */

import type { Decision, EventsReply, HelloReply, Toast } from "./protocol.ts"

type Fields = Record<string, unknown>

const fields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value)
const text = (value: unknown): value is string => typeof value === "string"
const number = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value)
const absent = (value: unknown): boolean => value === undefined || value === null
const maybe = (value: unknown, is: (value: unknown) => boolean): boolean => absent(value) || is(value)
const texts = (value: unknown): boolean => Array.isArray(value) && value.every(text)

const isToast = (value: unknown): boolean =>
  fields(value) &&
  text(value["title"]) &&
  text(value["message"]) &&
  maybe(value["variant"], text) &&
  maybe(value["duration_ms"], number)

const isTarget = (value: unknown): boolean =>
  fields(value) && text(value["provider"]) && text(value["model"]) && maybe(value["variant"], text)

/** Gives the decision that was answered, undefined when it is none. */
export function decisionIn(data: unknown): Decision | undefined {
  const good =
    fields(data) &&
    text(data["action"]) &&
    fields(data["reason"]) &&
    text(data["reason"]["text"]) &&
    maybe(data["target"], isTarget) &&
    maybe(data["wait_s"], number) &&
    maybe(data["toast"], isToast) &&
    maybe(data["arrival"], isToast)
  return good ? (data as unknown as Decision) : undefined
}

/** Gives what was answered to an introduction, undefined when it is no such answer. */
export function greetingIn(data: unknown): HelloReply | undefined {
  const limits = (value: unknown): boolean => fields(value) && Object.values(value).every(number)
  const good =
    fields(data) &&
    maybe(data["warnings"], texts) &&
    maybe(data["toasts"], (value) => typeof value === "boolean") &&
    maybe(data["first_token_timeout_s"], limits)
  return good ? (data as unknown as HelloReply) : undefined
}

/** Gives the toasts answered to a batch of events; none where the answer holds none. */
export function toastsIn(data: unknown): Toast[] {
  const toasts = fields(data) ? (data as Partial<EventsReply>).toasts : undefined
  return Array.isArray(toasts) ? toasts.filter(isToast) : []
}
