/**
 * Decides from the manifests and the command line what `memflow dev` runs.
 *
 * Pure but for paths. Promises the same workflow id for the same workflow and input: whoever starts the same thing
 * again while it is open meets the open run in place of a second one.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import {
  DEV_INPUT_ANNOTATION,
  DEV_MODULE_ANNOTATION,
  durationMs,
  findInputFaults,
  queueNameOf,
  workflowNameOf,
} from "@memflow/crds";
import type { Manifests, PlacedTaskQueue, PlacedWorkflow } from "@memflow/crds";
import { scalingPolicyOf } from "@memflow/operator/plan";
import type { ScalingPolicy } from "@memflow/operator/plan";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

/** What the command line says about the run. */
export interface RunWish {
  /** A workflow's name, as exported or as the resource is called. */
  readonly workflow?: string;
  /** JSON text of the first argument. */
  readonly input?: string;
  /** Folder that becomes the field `corpus` of the first argument. */
  readonly corpus?: string;
}

/** The workers of one queue. */
export interface QueuePlan {
  /** Name of the TaskQueue. */
  readonly name: string;
  readonly taskQueue: string;
  readonly schema: string;
  readonly module: string;
  /** Workers to begin with; then the policy decides. */
  readonly replicas: number;
  readonly policy: ScalingPolicy;
  readonly annotations: Readonly<Record<string, string>>;
  readonly activityMax: number;
  readonly runMax: number;
  readonly graceMs: number;
  readonly environment: Readonly<Record<string, string>>;
  /** Variables that a cluster takes from a Secret or ConfigMap; here they come from the caller's environment. */
  readonly inheritedVariables: readonly string[];
}

/** How a failed run is tried again: the Workflow's `spec.retry`. */
export interface RunRetry {
  readonly maximumAttempts: number;
  readonly backoffCoefficient?: number;
  readonly initialInterval?: string;
  readonly maximumInterval?: string;
}

/** The run to start. */
export interface RunPlan {
  readonly workflowId: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  readonly schema: string;
  readonly args: readonly unknown[];
  readonly retry: RunRetry;
  /** False: an open run of an earlier start is continued whatever its input. */
  readonly isExplicit: boolean;
}

/** Everything that `memflow dev` is going to run. */
export interface DevPlan {
  readonly schemas: readonly string[];
  readonly queues: readonly QueuePlan[];
  readonly run: RunPlan;
}

/** One machine stands in for a cluster; more workers than this only take its cores from each other. */
const REPLICA_MAX = 4;
/** A developer's Ctrl-C should not wait for a cluster's drain time. */
const GRACE_MS_MAX = 10_000;

/** A Workflow without `spec.retry` is not tried again; the SDK's own default would try three times. */
const NO_RETRY: RunRetry = { maximumAttempts: 1 };

/** Prefix of the ids of the runs that `memflow dev` starts. */
export const DEV_RUN_PREFIX = "dev-";

/**
 * Makes the plan.
 *
 * @throws {CommandError} With exit code 2 when the manifests lack something or the wish names what they don't have.
 */
export function makeDevPlan(manifests: Manifests, wish: RunWish): DevPlan {
  const workflow = pickWorkflow(manifests, wish.workflow);
  const taskQueue = manifests.taskQueues.find((candidate) => candidate.resource === workflow.taskQueue);
  if (taskQueue === undefined) throw usage(`workflow "${workflowNameOf(workflow.resource)}" has no queue`);
  return {
    schemas: [...new Set(manifests.stores.map((store) => store.resource.spec.schema))],
    queues: manifests.taskQueues.map(planQueue),
    run: planRun(workflow, taskQueue, wish),
  };
}

function pickWorkflow(manifests: Manifests, wished: string | undefined): PlacedWorkflow {
  const { workflows } = manifests;
  const names = workflows.map((workflow) => workflowNameOf(workflow.resource)).join(", ");
  if (workflows.length === 0) throw usage("the manifests declare no Workflow: add one");
  if (wished !== undefined) {
    const found = workflows.find(
      ({ resource }) => workflowNameOf(resource) === wished || resource.metadata.name === wished,
    );
    if (found === undefined)
      throw usage(`workflow "${wished}" is not declared; the manifests declare: ${names}`);
    return found;
  }
  const marked = workflows.filter(({ resource }) => DEV_INPUT_ANNOTATION in resource.metadata.annotations);
  const candidates = marked.length === 0 ? workflows : marked;
  const [only] = candidates;
  if (only === undefined || candidates.length > 1) {
    throw usage(
      `the manifests declare several workflows (${names}): choose one with --workflow, ` +
        `or mark one with the annotation ${DEV_INPUT_ANNOTATION}`,
    );
  }
  return only;
}

function planQueue(placed: PlacedTaskQueue): QueuePlan {
  const { metadata, spec } = placed.resource;
  const wanted = spec.scaling.mode === "Manual" ? (spec.replicas ?? 1) : spec.scaling.minReplicas;
  const environment: Record<string, string> = {};
  for (const { name, value } of spec.workers.env) if (value !== undefined) environment[name] = value;
  const policy = scalingPolicyOf(spec);
  return {
    name: metadata.name,
    policy: {
      ...policy,
      minReplicas: Math.min(REPLICA_MAX, policy.minReplicas),
      maxReplicas: Math.min(REPLICA_MAX, policy.maxReplicas),
      replicas: policy.replicas === null ? null : Math.min(REPLICA_MAX, policy.replicas),
    },
    annotations: metadata.annotations,
    taskQueue: queueNameOf(placed.resource),
    schema: placed.store.spec.schema,
    module: path.resolve(path.dirname(placed.file), metadata.annotations[DEV_MODULE_ANNOTATION] ?? "."),
    replicas: Math.min(REPLICA_MAX, Math.max(1, wanted)),
    activityMax: spec.workers.concurrency.activities,
    runMax: spec.workers.concurrency.workflowTasks,
    graceMs: Math.min(GRACE_MS_MAX, durationMs(spec.workers.drain.timeout)),
    environment,
    inheritedVariables: spec.workers.env.filter((one) => one.valueFrom !== undefined).map((one) => one.name),
  };
}

function planRun(workflow: PlacedWorkflow, taskQueue: PlacedTaskQueue, wish: RunWish): RunPlan {
  const { metadata, spec } = workflow.resource;
  if (spec.suspend) throw usage(`workflow "${metadata.name}" is suspended: set spec.suspend to false`);
  const args = runArguments(workflow, wish);
  const faults = findInputFaults(workflow.resource, args[0]);
  if (faults.length > 0)
    throw usage(`the input of "${workflowNameOf(workflow.resource)}" is wrong: ${faults.join("; ")}`);
  const hash = createHash("sha256").update(JSON.stringify(args)).digest("hex").slice(0, 8);
  return {
    workflowId: `${DEV_RUN_PREFIX}${metadata.name}-${hash}`,
    workflowName: workflowNameOf(workflow.resource),
    taskQueue: queueNameOf(taskQueue.resource),
    schema: taskQueue.store.spec.schema,
    args,
    retry: spec.retry ?? NO_RETRY,
    isExplicit: wish.workflow !== undefined || wish.input !== undefined || wish.corpus !== undefined,
  };
}

function runArguments(workflow: PlacedWorkflow, wish: RunWish): readonly unknown[] {
  const { metadata, spec } = workflow.resource;
  const annotation = metadata.annotations[DEV_INPUT_ANNOTATION];
  const place = `${workflow.file}:${workflow.line}: annotation ${DEV_INPUT_ANNOTATION}`;
  let args: readonly unknown[] = spec.defaultArgs ?? [];
  if (wish.input !== undefined) args = [parseJson(wish.input, "--input")];
  else if (annotation !== undefined) args = [parseJson(annotation, place)];
  return wish.corpus === undefined ? args : withCorpus(args, wish.corpus);
}

function withCorpus(args: readonly unknown[], corpus: string): readonly unknown[] {
  const [input = {}, ...rest] = args;
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw usage(`--corpus needs an input that is an object, the input is ${JSON.stringify(input)}`);
  }
  return [{ ...input, corpus: path.resolve(corpus) }, ...rest];
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw usage(`${place} is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function usage(message: string, cause?: unknown): CommandError {
  return new CommandError(EXIT_CODES.usage, message, cause);
}
