/**
 * MemFlow's errors under the names that its users know, as the export `Errors`.
 *
 * The five interruptions are one class here: durable calls wait without throwing, so code that asks for one of them by
 * `instanceof` goes on to work, and never sees one.
 */
export {
  DuplicateJobError,
  GetStateError,
  InterruptedError,
  FatalError as MemFlowFatalError,
  MaxedError as MemFlowMaxedError,
  RetryError as MemFlowRetryError,
  TimeoutError as MemFlowTimeoutError,
  Interruption as MemFlowChildError,
  Interruption as MemFlowProxyError,
  Interruption as MemFlowSleepError,
  Interruption as MemFlowWaitForAllError,
  Interruption as MemFlowWaitForError,
} from "@memflow/engine";
