/**
 * Says in one line what an event of a run's history means to whoever watches it.
 *
 * Pure. Promises a line for every event that a person can do something with and nothing for the rest (a read of the
 * entity); an unknown kind is shown by its own word.
 */
import type { Tone } from "./terminal.ts";

/** As much of an event as a line needs. */
export interface StepEvent {
  readonly kind: string;
  readonly name: string | null;
  readonly payload: unknown;
}

/** A line. */
export interface StepText {
  readonly text: string;
  readonly tone: Tone;
}

const TEXT_MAX = 160;

/** The line of an event; undefined for none. */
export function describeStep(event: StepEvent): StepText | undefined {
  const name = event.name ?? "";
  switch (event.kind) {
    case "activity_completed":
      return plain(`activity ${name}`);
    case "activity_failed":
      return bad(`activity ${name} failed`, event.payload);
    case "attempt_failed":
      return bad(`attempt of ${name} failed, is tried again`, event.payload);
    case "command_failed":
      return bad(`${name} was refused`, event.payload);
    case "timer_fired":
      return plain("timer fired");
    case "signal_received":
      return plain(`signal ${name} received`);
    case "signal_sent":
      return plain(`signal ${name} sent`);
    case "child_started":
      return plain(`child ${name} started`);
    case "child_completed":
      return plain(`child ${name} completed`);
    case "child_failed":
    case "child_start_failed":
      return bad(`child ${name} failed`, event.payload);
    case "hook_started":
      return plain(`hook ${name} started`);
    case "hook_completed":
      return plain(`hook ${name} completed`);
    case "hook_failed":
    case "hook_start_failed":
      return bad(`hook ${name} failed`, event.payload);
    case "entity_changed":
      return {
        text: cut(`entity ${[name, pathOf(event.payload)].filter((part) => part !== "").join(" ")}`),
        tone: "note",
      };
    case "entity_read":
      return undefined;
    default:
      return plain(`${event.kind} ${name}`.trim());
  }
}

function plain(text: string): StepText {
  return { text: cut(text), tone: "plain" };
}

function bad(text: string, payload: unknown): StepText {
  const reason = messageOf(payload);
  return { text: cut(reason === undefined ? text : `${text}: ${reason}`), tone: "bad" };
}

/** A failure says its message itself or in what caused the event. */
function messageOf(payload: unknown): string | undefined {
  if (typeof payload !== "object" || payload === null) return undefined;
  const { message, failure } = payload as { readonly message?: unknown; readonly failure?: unknown };
  return typeof message === "string" ? message : messageOf(failure);
}

function pathOf(payload: unknown): string {
  const path =
    typeof payload === "object" && payload !== null
      ? (payload as { readonly path?: unknown }).path
      : undefined;
  return typeof path === "string" ? path : "";
}

/** One line, whatever a message holds. */
function cut(text: string): string {
  const line = text.replaceAll(/\s+/gu, " ");
  return line.length <= TEXT_MAX ? line : `${line.slice(0, TEXT_MAX)}...`;
}
