/**
 * How a run is interrupted, by a handle or by another run: the options, checked, and the failure that who waits for it gets.
 */
import { InterruptedError, OptionError, encodeFailure } from "@memflow/engine";
import type { FailureJson } from "@memflow/engine";
import type { JobInterruptOptions } from "./handle.ts";
import { checkExpire } from "./options.ts";

/** An interrupt as it is recorded. */
export interface CheckedInterrupt {
  readonly failure: FailureJson;
  readonly descend: boolean;
  readonly retentionSeconds: number | undefined;
  readonly suppress: boolean;
}

/**
 * Checks the options of an interrupt.
 *
 * @throws {OptionError} When one has a value that it cannot have.
 */
export function checkInterrupt(workflowId: string, options: JobInterruptOptions): CheckedInterrupt {
  if (typeof options !== "object" || options === null) {
    const remedy = "give an object such as { reason: 'no longer needed' }";
    throw new OptionError({ field: "options", value: options, remedy });
  }
  const { reason = "Job Interrupted", code = 410, stack } = options;
  if (typeof reason !== "string")
    throw new OptionError({ field: "reason", value: reason, remedy: "give a text" });
  if (!Number.isInteger(code))
    throw new OptionError({ field: "code", value: code, remedy: "give a whole number" });
  if (stack !== undefined && typeof stack !== "string")
    throw new OptionError({ field: "stack", value: stack, remedy: "give a text" });
  const failure = encodeFailure(
    new InterruptedError({ workflowId, reason, code, ...(stack === undefined ? {} : { stack }) }),
  );
  return {
    // "quiet": who waits gets undefined in place of the error.
    failure: options.throw === false ? { ...failure, data: { ...failure.data, quiet: true } } : failure,
    descend: options.descend === true,
    retentionSeconds: checkExpire(options.expire) ?? undefined,
    suppress: options.suppress === true,
  };
}
