/**
 * What every subject executes: the same runs with the same payloads, whoever makes them durable.
 */

/** A run: `noOp`, `steps` one after another, `fanOut` to children, `park` after `count` steps until it is signaled. */
export interface Job {
  readonly workflow: "noOp" | "steps" | "fanOut" | "park";
  readonly count: number;
}

/** What an activity returns, and so the payload of each step. */
export interface StepOutcome {
  readonly step: number;
  readonly ok: boolean;
}

/** When each step was executed, in milliseconds of this process's clock. */
const stepTimes: number[] = [];

/** The activity: a local no-op that notes when it was called and returns a small object. */
export function touch(step: number): StepOutcome {
  stepTimes.push(performance.now());
  return { step, ok: true };
}

/** The times of all steps since the last call. */
export function takeStepTimes(): number[] {
  return stepTimes.splice(0);
}
