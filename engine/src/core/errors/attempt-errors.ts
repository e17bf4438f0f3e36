/**
 * How an attempt of an activity or a workflow function ends badly, with MemFlow's numeric codes.
 *
 * User code may throw `FatalError`, `MaxedError`, `TimeoutError` and `RetryError` itself: the code decides about the
 * next attempt.
 */
import { MemFlowError } from "./memflow-error.ts";

/**
 * Ends the activity or workflow that throws it at once: no further attempt is made (code 598).
 *
 * @example
 * if (response.status === 404) throw new FatalError('customer 17 does not exist');
 */
export class FatalError extends MemFlowError {
  declare readonly code: 598;

  constructor(message: string, stack?: string) {
    super(message, { name: "MemFlowFatalError", code: 598, stack });
  }
}

/** The last attempt that the retry policy allows has failed (code 597). Not retried. */
export class MaxedError extends MemFlowError {
  declare readonly code: 597;

  constructor(message: string, stack?: string) {
    super(message, { name: "MemFlowMaxedError", code: 597, stack });
  }
}

/** The work took longer than it may (code 596). Not retried. */
export class TimeoutError extends MemFlowError {
  declare readonly code: 596;

  constructor(message: string, stack?: string) {
    super(message, { name: "MemFlowTimeoutError", code: 596, stack });
  }
}

/** A failure that the retry policy may try again (code 599), as any error that is none of MemFlow's. */
export class RetryError extends MemFlowError {
  declare readonly code: 599;

  constructor(message: string, stack?: string) {
    super(message, { name: "MemFlowRetryError", code: 599, stack });
  }
}

/** The worker died in the only attempt that the policy allows; whether the work was done is not known. */
export class AttemptLostError extends MemFlowError {
  declare readonly code: "ATTEMPT_LOST";
  readonly activityName: string;
  readonly attempt: number;

  constructor(options: { readonly activityName: string; readonly attempt: number }) {
    const { activityName, attempt } = options;
    super(
      `attempt ${attempt} of activity "${activityName}" was lost with its worker and the retry policy allows no other; ` +
        "check whether the work was done, or allow more attempts",
      { name: "AttemptLostError", code: "ATTEMPT_LOST" },
    );
    this.activityName = activityName;
    this.attempt = attempt;
  }
}

/** Stands for something thrown that was no Error (`throw 'boom'`), where only an Error can be handed on. */
export class ThrownValueError extends MemFlowError {
  declare readonly code: "THROWN_VALUE";
  /** What was thrown; `undefined` also when it could not be kept. */
  readonly value: unknown;

  constructor(message: string, value: unknown) {
    super(message, { name: "ThrownValueError", code: "THROWN_VALUE" });
    this.value = value;
  }
}
