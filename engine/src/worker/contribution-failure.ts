/**
 * The error that user code gets when Postgres refuses what it wanted to record.
 */
import { MemFlowError } from "../core/errors.ts";

/** A command, result or message that Postgres refuses for good, such as text it cannot hold. */
export function contributionFailure(error: unknown): MemFlowError {
  const detail = error instanceof Error ? error.message : String(error);
  return new MemFlowError(`the database refuses this value: ${detail}; change the value`, {
    name: "RecordRefusedError",
    code: "RECORD_REFUSED",
    cause: error,
  });
}
