/**
 * What a workflow can ask about its own run.
 */
import { runOf } from "./in-run.ts";

/** A run as its code sees it. */
export interface WorkflowInfo {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly workflowType: string;
  readonly taskQueue: string;
  readonly namespace: string;
  /** `queue-name`, as MemFlow writes it. */
  readonly workflowTopic: string;
  /** 1-based: a workflow that failed and starts anew counts up. */
  readonly attempt: number;
  readonly startTime: Date;
  /** The run that started this one; null when a client did. */
  readonly parentRunId: string | null;
  /** True inside a hook. */
  readonly isHook: boolean;
  /** Accepted for MemFlow's sake: the run may be tried again. */
  readonly canRetry: boolean;
}

/** The run's facts; the same on every replay. */
export function workflowInfo(): WorkflowInfo {
  const { facts, attempt } = runOf("workflowInfo");
  return {
    runId: facts.runId,
    workflowId: facts.workflowId,
    workflowName: facts.workflowName,
    workflowType: facts.workflowName,
    taskQueue: facts.taskQueue,
    namespace: facts.namespace,
    workflowTopic: `${facts.taskQueue}-${facts.workflowName}`,
    attempt,
    startTime: new Date(facts.startedMs),
    parentRunId: facts.parentRunId,
    isHook: facts.hook,
    canRetry: true,
  };
}

/** A random number in [0, 1), the same on every replay, different in every run. */
export function random(): number {
  return runOf("random").random();
}
