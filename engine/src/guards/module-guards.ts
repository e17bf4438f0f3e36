/**
 * Modules may be loaded inside a run, and what they are must not depend on it.
 *
 * Promises that `require` evaluates a module outside the run's context: a pool or a clock that it keeps at its top
 * level keeps nothing of the run. `import()` works as well, since Node settles it without leaving the microtasks, but
 * Node has no hook for it: a module that is imported for the first time inside a run is evaluated with the run's
 * guards, and refused if its top level does I/O. Import such modules at the top of the file.
 */
import nodeModule from "node:module";
import { currentRun } from "./guard-hooks.ts";
import { replaceFunction } from "./function-replacement.ts";
import { runOutsideGuards } from "./outside-runs.ts";

/** Lets `require` leave the run's context. */
export function guardModuleLoading(): void {
  replaceFunction(nodeModule, "_load", (original) => {
    return function load(this: unknown, ...values: unknown[]): unknown {
      if (currentRun() === undefined) return Reflect.apply(original, this, values);
      return runOutsideGuards(() => Reflect.apply(original, this, values));
    };
  });
}
