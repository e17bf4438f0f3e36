/**
 * Replays one recorded run without a worker and without a database: what its code makes of its history.
 *
 * Promises that nothing is carried out and nothing is written, and that code which does not match the history is named
 * with its place. Interceptors and activities are the caller's: an activity is never called.
 */
import { DeterminismViolation, HistoryMismatchError } from "../core/errors.ts";
import type { HistoryEvent } from "../core/events.ts";
import { PlaceWitness, diagnose, lacksPlace } from "../replay/diagnosis.ts";
import type { NumberedChange } from "../replay/entity-view.ts";
import type { RunFacts } from "../replay/run-context.ts";
import { RunMachine } from "../replay/run-machine.ts";
import type { Invoke, MachineState } from "../replay/run-machine.ts";
import { guardProcess } from "./process-guards.ts";

/** What is needed to replay a run. */
export interface RecordedRun {
  readonly facts: RunFacts;
  readonly events: readonly HistoryEvent[];
  /** The log of its entity: at least the changes that other runs made. */
  readonly changes: readonly NumberedChange[];
  /** True when it has ended with a result: code that waits for more does not match. */
  readonly completed: boolean;
}

/** How a replay ended: as the run's code did, or where the code does not match. */
export type ReplayOutcome =
  | MachineState
  | { readonly kind: "mismatch"; readonly error: HistoryMismatchError | DeterminismViolation };

/**
 * Replays a run.
 *
 * @returns What its code came to; `mismatch` when it asks for something else than its history answers, or does what runs must
 *   not.
 */
export async function replayRecording(recorded: RecordedRun, invoke: Invoke): Promise<ReplayOutcome> {
  await guardProcess();
  return await new Promise((resolve, reject) => {
    // Inside a microtask a machine's drain does nothing.
    setImmediate(() => {
      try {
        resolve(replay(recorded, invoke));
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

function replay(recorded: RecordedRun, invoke: Invoke): ReplayOutcome {
  const { events, changes } = recorded;
  const witness = new PlaceWitness();
  const machine = new RunMachine(recorded.facts, invoke, witness);
  machine.context.entity.feed(changes);
  try {
    machine.start();
    for (const event of events) machine.apply(event);
  } catch (error) {
    if (!(error instanceof HistoryMismatchError) && !(error instanceof DeterminismViolation)) throw error;
    return {
      kind: "mismatch",
      error: lacksPlace(error) ? diagnose({ machine, events, changes, error }) : error,
    };
  }
  const [open] = machine.context.pending;
  if (!recorded.completed || machine.state.kind !== "waiting" || open === undefined) return machine.state;
  const [position, { kind, name }] = open;
  const error = new HistoryMismatchError({
    position,
    expected: "the end of the run",
    actual: name === null ? kind : `${kind} "${name}"`,
    place: witness.placeOf(position),
  });
  return { kind: "mismatch", error };
}
