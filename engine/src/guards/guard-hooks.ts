/**
 * Who is asked, on every guarded call, whether it comes from a workflow.
 *
 * The hooks are kept once per process, as the globals are: each copy of the engine adds its own.
 */
import { processWide } from "./process-wide.ts";

/** What a run gives to the guarded globals while its workflow code executes. */
export interface RunGuard {
  /** The run's time in milliseconds since the epoch; never goes back. */
  nowMs(): number;
  /** The next number of the run's seeded sequence, in [0, 1). */
  random(): number;
  /** Starts a durable timer; `callback` is called once, inside the run. Returns its id, unique within the run. */
  startTimer(callback: () => void, delayMs: number): number;
  /** Cancels a durable timer; an id that is unknown or already fired is ignored. */
  clearTimer(id: number): void;
  /** Makes the error for a refused call, such as `fetch`, and lets the run keep it. */
  violation(call: string): Error;
}

/** How the guards tell whose code is executing, both by the async context. */
export interface GuardHooks {
  /** The run whose workflow code is executing; undefined outside a workflow, also inside an activity. */
  currentRun(): RunGuard | undefined;
  /** True inside a workflow or an activity. */
  inUserCode(): boolean;
}

const registry: GuardHooks[] = processWide<GuardHooks[]>("guard-hooks.1", () => []);

/**
 * Adds the hooks of one engine.
 *
 * @returns True when they are the first of this process, so that the globals are still as Node made them.
 */
export function registerGuardHooks(hooks: GuardHooks): boolean {
  const first = registry.length === 0;
  if (!registry.includes(hooks)) registry.push(hooks);
  return first;
}

/** The run whose workflow code is executing now. */
export function currentRun(): RunGuard | undefined {
  for (const hooks of registry) {
    const run = hooks.currentRun();
    if (run !== undefined) return run;
  }
  return undefined;
}

/** Whether workflow or activity code is executing now. */
export function inUserCode(): boolean {
  return registry.some((hooks) => hooks.inUserCode());
}
