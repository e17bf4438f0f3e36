/**
 * The error tree of MemFlow: every class that MemFlow throws on purpose, in one place to import from.
 *
 * Promises that every class extends `MemFlowError`, that its `code` never changes between versions, and that what the
 * message says is also there as fields.
 */
export { MemFlowError } from "./errors/memflow-error.ts";
export type { ErrorCode, MemFlowErrorOptions } from "./errors/memflow-error.ts";
export {
  AttemptLostError,
  FatalError,
  MaxedError,
  RetryError,
  ThrownValueError,
  TimeoutError,
} from "./errors/attempt-errors.ts";
export { Interruption, didInterrupt } from "./errors/interruption.ts";
export {
  CanceledError,
  DuplicateJobError,
  GetStateError,
  IdempotencyKeyReusedError,
  InterruptedError,
  RunClosedError,
  StuckError,
  TerminatedError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from "./errors/run-errors.ts";
export type { RunStopOptions } from "./errors/run-errors.ts";
export {
  ActivityNotFoundError,
  CrossStoreError,
  DurationError,
  EntityError,
  OptionError,
  PayloadError,
  RequestRefusedError,
  WorkflowTypeNotFoundError,
} from "./errors/misuse-errors.ts";
export type { EntityErrorCode, PayloadErrorCode } from "./errors/misuse-errors.ts";
export { DeterminismViolation, HistoryMismatchError, ProcessExitError } from "./errors/determinism-errors.ts";
export { ConnectionError, LeaderFollowedError, SchemaError, SearchError } from "./errors/database-errors.ts";
export type { ConnectionErrorCode, SchemaErrorCode, SearchErrorCode } from "./errors/database-errors.ts";
export { describeValue } from "./errors/describe-value.ts";
