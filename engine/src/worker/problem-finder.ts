/**
 * Finds the place of an error that tells none: reads all that the run has recorded and replays it under observation.
 *
 * Promises that the run is told of an outcome, with the place or without.
 */
import { diagnose } from "../replay/diagnosis.ts";
import type { PlacelessError } from "../replay/diagnosis.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import type { Life } from "./life.ts";
import type { OwnedRun } from "./owned-run.ts";
import type { RunDriver } from "./run-driver.ts";
import type { RunLoader } from "./run-loader.ts";

/** Looks for the place of `error`, then calls `diagnosed` of the driver. */
export async function findProblem(
  parts: {
    readonly context: IncarnationContext;
    readonly life: Life;
    readonly loader: RunLoader;
    readonly driver: RunDriver;
  },
  run: OwnedRun,
  error: PlacelessError,
): Promise<void> {
  const { context, life, loader, driver } = parts;
  let found: unknown = error;
  try {
    const events = await loader.events(run.id);
    const last = events.reduce((latest, { entityNo }) => Math.max(latest, entityNo ?? 0), 0);
    const span = { entityId: run.facts.entityId, first: 1, last };
    const changes = last === 0 ? [] : ((await loader.changes([span])).get(span.entityId) ?? []);
    await life.inMacrotask(() => {
      context.marks.enter("run", run.id, 0);
      try {
        found = diagnose({ machine: run.machine, events, changes, error });
      } finally {
        context.marks.leave();
      }
    });
  } catch (failure) {
    context.options.log("warn", "the place of a problem was not found", {
      runId: run.id,
      error: String(failure),
    });
  }
  if (life.alive) driver.diagnosed(run, found);
}
