/**
 * The root of the error tree.
 *
 * Promises a stable `code`, a `name` that survives minification, and a `cause` when there is one. Does not decide
 * whether an error is retried: see `isRetryable` in retry-policy.ts.
 */

/** A stable identifier of a kind of error: MemFlow's numbers for failures, words for everything else. */
export type ErrorCode = string | number;

/** What a subclass tells the root about itself. */
export interface MemFlowErrorOptions {
  readonly code: ErrorCode;
  /** The `name` of the error; default `MemFlowError`. */
  readonly name?: string;
  readonly cause?: unknown;
  /** Replaces the stack that was captured here, for an error that happened elsewhere. */
  readonly stack?: string | undefined;
}

/**
 * Any error that MemFlow throws on purpose.
 *
 * @example
 * try {
 *   await handle.result();
 * } catch (error) {
 *   if (error instanceof MemFlowError) console.log(error.code);
 * }
 */
export class MemFlowError extends Error {
  readonly code: ErrorCode;

  constructor(message: string, options: MemFlowErrorOptions) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    // Not enumerable, as on the built-in errors: loggers and failures show the fields, not the name twice.
    Object.defineProperty(this, "name", {
      value: options.name ?? "MemFlowError",
      writable: true,
      configurable: true,
    });
    this.code = options.code;
    if (options.stack !== undefined) this.stack = options.stack;
  }
}
