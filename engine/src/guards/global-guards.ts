/**
 * The guards of a process: inside a run the globals and modules of Node are deterministic, durable or refused.
 *
 * Promises that code outside runs sees no difference but some 20 ns per guarded call, and that named imports
 * (`import { readFile } from "node:fs/promises"`) are guarded as well as globals. Does not reach functions that were
 * kept before the guards came (`const now = Date.now` in a module loaded earlier): those are found, if at all, when a
 * run at rest waits for nothing durable, or when a replay does not match its history.
 *
 * Does not guard `process.nextTick` and `queueMicrotask` (the drain runs both, in order), `console`, `process.env`,
 * `WeakRef`, and synchronous facts of the machine (`node:os`, `process.memoryUsage`).
 */
import { syncBuiltinESMExports } from "node:module";
import type { GuardHooks } from "./guard-hooks.ts";
import { registerGuardHooks } from "./guard-hooks.ts";
import { guardIo } from "./io-guards.ts";
import { guardModuleLoading } from "./module-guards.ts";
import { runOutsideGuards } from "./outside-runs.ts";
import { guardProcessExit } from "./process-guards.ts";
import { guardRandomness } from "./random-guards.ts";
import { guardClocks } from "./time-guards.ts";
import { guardTimers } from "./timer-guards.ts";

export type { GuardHooks, RunGuard } from "./guard-hooks.ts";
export { runOutsideGuards } from "./outside-runs.ts";

/**
 * Guards the globals of this process, for good; later calls only add their hooks.
 *
 * @param hooks - Asked at every guarded call, so they must be cheap.
 */
export function installGlobalGuards(hooks: GuardHooks): void {
  if (!registerGuardHooks(hooks)) return;
  runOutsideGuards(() => {
    openStandardStreams();
    guardClocks();
    guardRandomness();
    guardTimers();
    guardIo();
    guardModuleLoading();
    guardProcessExit();
    syncBuiltinESMExports();
  });
}

/** Node opens them on first use, through the public `fs` and `net`: that must not be a `console.log` inside a run. */
function openStandardStreams(): void {
  void process.stdout;
  void process.stderr;
}
