/** What a Workflow says of its runs, with durations in milliseconds: one form for the database, the gateway and `memflow dev`. Pure. */
import { durationMs } from "./durations.ts";
import type { Workflow, WorkflowSpec } from "./kinds/workflow.ts";

/** A member that the Workflow says nothing of is left out. */
export interface WorkflowSettings {
  readonly timeouts?: { readonly executionMs?: number; readonly runMs?: number };
  readonly retry?: {
    readonly maximumAttempts: number;
    readonly backoffCoefficient: number;
    readonly initialIntervalMs: number;
    readonly maximumIntervalMs: number;
  };
  readonly retention?: { readonly completedMs?: number; readonly failedMs?: number };
  /** Types of its search attributes by name. */
  readonly searchAttributes?: Readonly<Record<string, string>>;
  /** Arguments of a start that brings none. */
  readonly defaultArgs?: readonly unknown[];
}

export function workflowSettings(spec: WorkflowSpec): WorkflowSettings {
  const { timeouts, retry, retention, searchAttributes, defaultArgs } = spec;
  return {
    ...(timeouts && { timeouts: { ...ms("executionMs", timeouts.execution), ...ms("runMs", timeouts.run) } }),
    ...(retry && {
      retry: {
        maximumAttempts: retry.maximumAttempts,
        backoffCoefficient: retry.backoffCoefficient,
        initialIntervalMs: durationMs(retry.initialInterval),
        maximumIntervalMs: durationMs(retry.maximumInterval),
      },
    }),
    ...(retention && {
      retention: { ...ms("completedMs", retention.completed), ...ms("failedMs", retention.failed) },
    }),
    ...(Object.keys(searchAttributes).length > 0 && { searchAttributes }),
    ...(defaultArgs && { defaultArgs }),
  };
}

/** Orders Workflows by age: of those of one queue and type the oldest counts, so that a newcomer takes nothing from it. */
export function byAge(left: Pick<Workflow, "metadata">, right: Pick<Workflow, "metadata">): number {
  const [one, other] = [left.metadata, right.metadata];
  return (
    (one.creationTimestamp ?? "").localeCompare(other.creationTimestamp ?? "") ||
    (one.uid ?? "").localeCompare(other.uid ?? "")
  );
}

function ms(name: string, duration: string | undefined): Readonly<Record<string, number>> {
  return duration === undefined ? {} : { [name]: durationMs(duration) };
}
