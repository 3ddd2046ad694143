/**
 * The plugin OpenCode loads: its hooks, tied to the parts that do the work.
 *
 * Nothing but wiring, and no policy. A hook that rejects or hangs is the user's failure, so every hook catches
 * everything and waits for nothing without a limit; the one deliberate rejection is what stops `/rate_limit_status` from
 * becoming a request. The default export must stay the only one: OpenCode calls every export of a plugin.
 */

import type { Hooks, Plugin, PluginInput } from "@opencode-ai/plugin"
import { carrier } from "./attempt.ts"
import { Bypasses } from "./bypass.ts"
import { realClock } from "./clock.ts"
import { Sessions } from "./context.ts"
import { socketPath, startCommand, UnixTransport } from "./daemon.ts"
import type { Message } from "./editor.ts"
import { concerns, remember, report, sessionOf } from "./events.ts"
import { TAG, Wrapping } from "./fetch.ts"
import { Handovers } from "./handover.ts"
import { modelOf, OpenCode, targetOf, type ModelRef } from "./opencode.ts"
import { same, type Toast } from "./protocol.ts"
import { Sidecar } from "./sidecar.ts"
import { Welcome } from "./welcome.ts"

const COMMAND = "rate_limit_status"
const CLOSING_MS = 500
const SHORT_STATUS = 600
const AWAY = "Requests go through unprotected. Start it with: rate-limit-sidecar start"

const server: Plugin = async (input: PluginInput, options?: Record<string, unknown>) => {
  const clock = realClock
  const { directory } = input
  const editor = new OpenCode(input, clock)
  const sessions = new Sessions()
  const handovers = new Handovers(editor, clock)
  const wrapping = new Wrapping(directory)
  const bypasses = new Bypasses()
  const welcome = new Welcome(editor)
  const sidecar = new Sidecar({
    transport: new UnixTransport(socketPath(process.env), startCommand(options?.["command"], process.env)),
    clock,
    directory,
    describe: () => editor.describe(),
    hears: {
      greeted: (reply) => welcome.hear(reply),
      toast: (toast) => editor.toast(toast),
      away: (why) =>
        editor.toast({ title: "Rate-limit sidecar is away", message: `${why}. ${AWAY}`, variant: "warning" }),
      back: (lost) =>
        editor.toast({
          title: "Rate-limit sidecar is back",
          message: lost > 0 ? `${lost} reports were lost meanwhile.` : "What happened meanwhile has been reported.",
          variant: "success",
        }),
    },
  })
  const services = { clock, directory, sidecar, editor, sessions, handovers }
  sidecar.start()

  const safe = async (hook: string, work: () => Promise<void> | void): Promise<void> => {
    try {
      if (wrapping.current) await work()
    } catch (error) {
      editor.log("error", `${hook}: ${String(error)}`)
    }
  }

  const hooks: Hooks = {
    config: (config) =>
      safe("config", () => {
        config.command = {
          ...config.command,
          [COMMAND]: { template: "Show the rate limits.", description: "Rate limits, cooldowns and what comes next" },
        }
      }),

    event: (heard) =>
      safe("event", () => {
        const { event } = heard
        editor.stored(event)
        if (!concerns(event)) return
        remember(event, sessions)
        const told = report(event)
        if (told) sidecar.event(told)
        const past = bypasses.heard(event, sessionOf(event), (tag) => wrapping.missed(tag))
        if (past) editor.toast(outOfReach(past))
        if (event.type === "session.idle") handovers.rest(sessions.at(sessionOf(event) ?? ""))
      }),

    "chat.message": (_, output) =>
      safe("chat.message", async () => {
        if (editor.claim(output) || unsent(output.parts)) return
        const message = output.message as typeof output.message & { model: ModelRef }
        const session = sessions.at(message.sessionID)
        const first = session.fresh
        session.fresh = session.stopped = false
        const target = (session.chosen = targetOf(message.model))
        if (sidecar.handover === false) await sidecar.renew()
        welcome.met()
        const decision = await sidecar.route({
          at: "message",
          session: session.id,
          ...(session.parent && { parent: session.parent }),
          directory,
          agent: message.agent,
          turn: message.id,
          target,
          wire: editor.wire(target),
          mobility: "handover",
          needs: { context: session.tokens, tools: true, images: output.parts.some(isImage) },
        })
        if (decision?.toast) editor.toast(decision.toast, session.id)
        if (decision?.action === "proceed" && decision.arrival) session.expect(target, decision.arrival)
        const to = decision?.action === "switch" ? decision.target : undefined
        if (!to || !editor.has(to) || same(to, target)) return
        if (decision?.arrival) session.expect(to, decision.arrival)
        if (sidecar.handover ?? editor.tested) {
          session.moved(message.id, to, target)
          // The TUI takes the model of a conversation's first message for the user's choice: that one keeps it, and the
          // first request is handed over instead.
          const passes = editor.wire(target) !== "unknown" && !bypasses.has(target.provider)
          if (first && !session.parent && passes) return
        }
        message.model = modelOf(to)
      }),

    "chat.headers": (request, output) =>
      safe("chat.headers", async () => {
        const provider = request.model.providerID
        // Bedrock signs all headers; a request whose tag is taken off would be refused.
        if (request.model.api.npm.includes("amazon-bedrock") || bypasses.has(provider)) return
        await wrapping.hold(clock)
        const message = request.message as unknown as Message & { model: ModelRef }
        const { variant } = message.model
        const target = targetOf({
          providerID: provider,
          modelID: request.model.id,
          ...(variant && { variant }),
        })
        const tagged = { session: request.sessionID, agent: request.agent, target, message }
        const tag = (output.headers[TAG] = wrapping.tag(carrier(tagged, services), clock.now()))
        // The request for a title runs beside the turn, and the events do not tell of it.
        if (request.agent !== "title") bypasses.tagged(request.sessionID, provider, tag)
      }),

    "command.execute.before": async (command) => {
      if (command.command !== COMMAND || !wrapping.current) return
      await safe(COMMAND, () => showStatus(command.sessionID))
      throw new Error("The rate limits are shown; nothing was sent to a model.")
    },

    dispose: async () => {
      editor.close()
      wrapping.remove()
      await sidecar.close(CLOSING_MS)
    },
  }

  async function showStatus(session: string): Promise<void> {
    const text = (await sidecar.status()) ?? `The rate-limit sidecar does not answer. ${AWAY}`
    // A text posted into a running conversation would be taken for a message to answer.
    if (!sessions.at(session).busy && (await editor.say(session, text))) return
    editor.toast({ title: "Rate limits", message: text.slice(0, SHORT_STATUS), duration_ms: 15_000 })
  }

  return hooks
}

const outOfReach = (provider: string): Toast => ({
  title: `Requests to ${provider} are out of reach`,
  message:
    "Another plugin sends them with a fetch it took before the sidecar was loaded: they are counted, but a limit is only " +
    "noticed when a turn has failed. List the sidecar's plugin before that one.",
  variant: "warning",
})

const isImage = (part: object): boolean => "mime" in part && String(part.mime).startsWith("image/")

/** A message no model gets to see. */
const unsent = (parts: object[]): boolean => parts.every((part) => "ignored" in part && part.ignored === true)

export default { id: "rate-limit-sidecar", server }
