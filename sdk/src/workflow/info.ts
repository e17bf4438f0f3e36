/**
 * What a workflow can ask about its own run.
 */
import { decodePayload, normalizeRetryPolicy } from "@memflow/engine";
import type { RunContext } from "@memflow/engine";
import { RETENTION_DEFAULT_SECONDS } from "../options.ts";
import { runOptionsOf, traceOf } from "../run-options.ts";
import { runOf } from "./in-run.ts";

/** A run as its code sees it. */
export interface WorkflowInfo {
  readonly runId: string;
  /** The business thing's name; in a hook that of the run whose memory it shares. */
  readonly workflowId: string;
  readonly workflowName: string;
  readonly workflowType: string;
  readonly taskQueue: string;
  readonly namespace: string;
  /** `queue-name`, as MemFlow writes it. */
  readonly workflowTopic: string;
  /** '' in a workflow; in a hook the id of the hook, which has positions of its own. */
  readonly workflowDimension: string;
  /** The workflow id of the first ancestor; undefined when a client started this run. */
  readonly originJobId: string | undefined;
  /** The trace that the run belongs to, and the span that is the parent of what it traces, as W3C ids. */
  readonly workflowTrace: string;
  readonly workflowSpan: string;
  /** 1-based: a workflow that failed and starts anew counts up. */
  readonly attempt: number;
  /** The position that the next durable call takes. */
  readonly counter: number;
  /** True while recorded history is replayed. It must not steer the workflow: what is live now is replayed later. */
  readonly replay: boolean;
  readonly startTime: Date;
  /** The run that started this one; null when a client did. */
  readonly parentRunId: string | null;
  /** True inside a hook. */
  readonly isHook: boolean;
  /** Whether the workflow is tried again when this attempt fails. */
  readonly canRetry: boolean;
  /** Seconds that the finished run is kept. */
  readonly expire: number;
  /** The connection of the worker that executes the run, as `Worker.create` got it. */
  readonly connection: unknown;
  /** What the run was started with. */
  readonly raw: { readonly data: { readonly arguments: readonly unknown[]; readonly workflowId: string } };
}

const connections = new WeakMap<RunContext, unknown>();

/** Notes the connection of the worker that executes a run. */
export function noteConnection(context: RunContext, connection: unknown): void {
  connections.set(context, connection);
}

/**
 * The run's facts; but for `replay` and `connection` the same on every replay.
 *
 * @throws {MemFlowError} `NOT_IN_WORKFLOW`, outside a workflow.
 *
 * @example
 * export async function order(): Promise<string> {
 *   const { workflowId, attempt } = MemFlow.workflow.workflowInfo();
 *   return await Promise.resolve(`${workflowId}, attempt ${attempt}`);
 * }
 */
export function workflowInfo(): WorkflowInfo {
  return infoOf(runOf("workflowInfo"));
}

/** The facts of a run, for its code and its interceptors. */
export function infoOf(context: RunContext): WorkflowInfo {
  const { facts, attempt, nextPosition, replaying } = context;
  const { retry, expire, jobId, originJobId } = runOptionsOf(facts);
  const { maximumAttempts } = retry ?? normalizeRetryPolicy(undefined, "config");
  const workflowId = jobId ?? facts.workflowId;
  return {
    runId: facts.runId,
    workflowId,
    workflowName: facts.workflowName,
    workflowType: facts.workflowName,
    taskQueue: facts.taskQueue,
    namespace: facts.namespace,
    workflowTopic: `${facts.taskQueue}-${facts.workflowName}`,
    workflowDimension: facts.hook ? facts.workflowId : "",
    originJobId,
    ...traceOf(facts),
    attempt,
    counter: nextPosition,
    replay: replaying,
    startTime: new Date(facts.startedMs),
    parentRunId: facts.parentRunId,
    isHook: facts.hook,
    canRetry: attempt < maximumAttempts,
    expire: expire ?? RETENTION_DEFAULT_SECONDS,
    connection: connections.get(context),
    // Read when asked for: arguments may be large.
    get raw() {
      return { data: { arguments: decodePayload(facts.input) as readonly unknown[], workflowId } };
    },
  };
}

/**
 * A random number in [0, 1), the same on every replay, different in every run.
 *
 * @throws {MemFlowError} `NOT_IN_WORKFLOW`, outside a workflow.
 *
 * @example
 * const winner = MemFlow.workflow.random() < 0.5 ? 'left' : 'right';
 */
export function random(): number {
  return runOf("random").random();
}

/**
 * A random UUID (version 4), the same on every replay.
 *
 * @throws {MemFlowError} `NOT_IN_WORKFLOW`, outside a workflow.
 *
 * @example
 * const key: string = MemFlow.workflow.uuid4();
 */
export function uuid4(): string {
  runOf("uuid4");
  return globalThis.crypto.randomUUID();
}
