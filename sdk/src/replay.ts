/**
 * Replays an exported run with the code of today, as a test of a deploy: does the code still fit its histories?
 */
import { decodeFailure, decodePayload, replayRecording } from "@memflow/engine";
import type { DeterminismViolation, HistoryMismatchError } from "@memflow/engine";
import { readExport } from "./export.ts";
import { intercepted } from "./interceptors.ts";
import type { WorkflowFunction } from "./interceptors.ts";

/** What the code made of a history. */
export type ReplayResult<Result = unknown> =
  | { readonly status: "completed"; readonly result: Result }
  /** The code threw, as it did when the run failed. */
  | { readonly status: "failed"; readonly error: Error }
  /** The history is used up and the code waits: the run was open, or was stopped from outside. */
  | { readonly status: "waiting" }
  /** The code asks for something else than history holds; `error.place` says where. */
  | { readonly status: "mismatch"; readonly error: HistoryMismatchError | DeterminismViolation };

/**
 * Replays an exported run. No activity is called, nothing is written, no database is needed. Interceptors that are
 * registered in this process take part, as they did in the worker.
 *
 * @param exported - What `handle.export()` gave, also after a way through JSON text.
 * @param workflow - The function that the run executed, as it is now.
 * @returns How the replay ended: `completed` with the result, `failed` with the error, `waiting`, or `mismatch` with the
 *   typed error and its place.
 * @throws {OptionError} When the export lacks what a replay needs, as one with `values: false` does.
 *
 * @example
 * const exported = await handle.export();
 * const replayed = await MemFlow.replay(JSON.parse(JSON.stringify(exported)), workflows.example);
 * if (replayed.status === 'mismatch') throw replayed.error;
 *
 * @see docs/export.md
 */
export async function replayWorkflow<Result = unknown>(
  exported: unknown,
  workflow: WorkflowFunction,
): Promise<ReplayResult<Result>> {
  const outcome = await replayRecording(readExport(exported), intercepted(workflow));
  switch (outcome.kind) {
    case "completed":
      return { status: "completed", result: decodePayload(outcome.result) as Result };
    case "failed":
      return { status: "failed", error: decodeFailure(outcome.failure) };
    case "waiting":
      return { status: "waiting" };
    default:
      return { status: "mismatch", error: outcome.error };
  }
}
