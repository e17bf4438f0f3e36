/**
 * The engine's private control error, and the only function by which user code can recognise it.
 *
 * Durable calls wait without throwing, so user code practically never sees one; code written for HotMesh that asks
 * `didInterrupt` in every `catch` behaves the same with and without the question.
 */
import { MemFlowError } from "./memflow-error.ts";

/** Unwinds user code that must not go on: a run that was dropped from memory, a hook whose run has ended. */
export class Interruption extends MemFlowError {
  declare readonly code: "INTERRUPTION";

  constructor(reason: string) {
    super(reason, { name: "Interruption", code: "INTERRUPTION" });
  }
}

/**
 * Tells whether an error is the engine's own control error, which user code should throw on.
 *
 * @param error - Whatever was caught.
 * @returns False for every failure, also for MemFlow's own with the codes 596 to 599.
 *
 * @example
 * try {
 *   await next();
 * } catch (error) {
 *   if (didInterrupt(error)) throw error;
 *   await notifyOperator(error);
 * }
 */
export function didInterrupt(error: unknown): boolean {
  return error instanceof Interruption;
}
