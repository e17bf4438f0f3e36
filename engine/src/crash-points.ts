/**
 * The places where a process may die with the most to lose, by name: the crash matrix stops at each of them.
 *
 * Costs one comparison where no hook is set, as in production. The list is complete: a test fails for a name that is
 * never reached, and the compiler for one that is not listed.
 */

/** Every crash point, in the order in which a step passes them. */
export const CRASH_POINTS = [
  "claim.committed",
  "history.loaded",
  "activation.done",
  "activity.started",
  "activity.finished",
  "timer.due",
  "inbox.read",
  "flush.built",
  "flush.committed",
  "flush.applied",
  "settle.built",
  "settle.committed",
  "activities.claimed",
] as const;

/** One of the listed names. */
export type CrashPoint = (typeof CRASH_POINTS)[number];

/** Called with the point and the worker (its incarnation's id) that is there. */
export type CrashHook = (point: CrashPoint, workerId: string) => void;

let hook: CrashHook | undefined;

/** Sets the hook that decides whether to die; undefined removes it. For tests. */
export function setCrashHook(next: CrashHook | undefined): void {
  hook = next;
}

/** Marks a crash point. */
export function crashPoint(point: CrashPoint, workerId: string): void {
  if (hook !== undefined) hook(point, workerId);
}
