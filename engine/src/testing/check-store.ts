/**
 * Every promise that a query can check, on one store at one moment (docs/architecture.md has their list).
 */
import type { Invoke } from "../replay/run-machine.ts";
import { checkAcknowledged } from "./checkers/acknowledged.ts";
import type { Acknowledgements } from "./checkers/acknowledged.ts";
import { checkEntities } from "./checkers/entities.ts";
import { checkFences } from "./checkers/fences.ts";
import { checkOpenRuns } from "./checkers/open-runs.ts";
import { checkOutcomes } from "./checkers/outcomes.ts";
import { checkReplays } from "./checkers/replays.ts";
import { checkTerminalStates } from "./checkers/terminal-states.ts";
import type { EndedRuns } from "./checkers/terminal-states.ts";
import { lookAtStore } from "./store-snapshot.ts";
import type { StorePlace } from "./store-snapshot.ts";

/** What a test knows that the store does not. */
export interface KnownToTest {
  /** Workflow and hook functions by name: their histories are replayed. */
  readonly workflows?: ReadonlyMap<string, Invoke>;
  /** Only the histories of this queue are replayed. */
  readonly taskQueue?: string;
  readonly acknowledged?: Acknowledgements;
  /** Outcomes remembered before. */
  readonly ended?: EndedRuns;
}

/**
 * Checks I1, I2, I3, I5, I6, I8 and I9.
 *
 * @returns What is broken, in words; empty when nothing is.
 */
export async function checkStore(place: StorePlace, known: KnownToTest = {}): Promise<string[]> {
  return await lookAtStore(place, async (snapshot) => [
    ...(await checkOutcomes(snapshot)),
    ...(await checkAcknowledged(snapshot, known.acknowledged ?? {})),
    ...(await checkOpenRuns(snapshot)),
    ...(await checkTerminalStates(snapshot, known.ended)),
    ...(await checkFences(snapshot)),
    ...(await checkEntities(snapshot)),
    ...(await checkReplays(snapshot, {
      workflows: known.workflows ?? new Map(),
      taskQueue: known.taskQueue,
    })),
  ]);
}
