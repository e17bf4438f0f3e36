/**
 * The figures of an operator process for Prometheus. Each is explained in docs/operator.md.
 *
 * No metric has the name of an object in a label but those of queues, of which a cluster has as many as it has TaskQueues; they
 * are there only in the process that leads, so that no figure is counted twice.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { ScalingFigures, ScalingGauges } from "./api/index.ts";
import { parseKey } from "./kube/index.ts";
import type {
  AnswerFacts,
  FollowedObjects,
  KubeObject,
  ProcessedFacts,
  WorkQueueState,
} from "./kube/index.ts";

/** What is asked when the process is scraped. */
export interface MetricsSubject {
  readonly isLeading: () => boolean;
  readonly queueStates: () => ReadonlyMap<string, WorkQueueState>;
  readonly followed: () => readonly Pick<FollowedObjects<KubeObject>, "type" | "store" | "state">[];
  readonly droppedEventCount: () => number;
}

/** Counts what happens, and serves it. */
export interface OperatorMetrics {
  readonly registry: Registry;
  readonly scalingGauges: ScalingGauges;
  reconciled(controller: string, facts: ProcessedFacts): void;
  answered(facts: AnswerFacts): void;
  /** From now on these are asked; before, there is nothing to ask. */
  observe(subject: MetricsSubject): void;
}

interface QueueFigure {
  readonly name: string;
  readonly help: string;
  readonly read: (figures: ScalingFigures) => number;
}

const MS_PER_SECOND = 1_000;
const RECONCILE_BUCKETS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 120];
const REQUEST_BUCKETS = [0.005, 0.02, 0.1, 0.5, 2, 15];

const QUEUE_FIGURES: readonly QueueFigure[] = [
  {
    name: "memflow_queue_depth",
    help: "Tasks that are ready and wait for a worker.",
    read: (f) => f.backlog,
  },
  {
    name: "memflow_queue_oldest_age_seconds",
    help: "How long the oldest ready task has waited.",
    read: (f) => f.oldestAgeSeconds,
  },
  { name: "memflow_queue_in_flight", help: "Tasks that workers work on.", read: (f) => f.inFlight },
  {
    name: "memflow_queue_desired_replicas",
    help: "Replicas that were decided on.",
    read: (f) => f.desiredReplicas,
  },
  { name: "memflow_queue_ready_replicas", help: "Workers that are ready.", read: (f) => f.readyReplicas },
];

const QUEUE_STATES = ["waiting", "running", "delayed", "failing"] as const;

/** Makes the registry that `/metrics` serves. */
export function makeMetrics(): OperatorMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const reconciles = new Counter({
    name: "memflow_operator_reconciles_total",
    help: "Reconciles that ended, by controller and outcome.",
    labelNames: ["controller", "outcome"],
    registers,
  });
  const durations = new Histogram({
    name: "memflow_operator_reconcile_duration_seconds",
    help: "How long reconciles took.",
    labelNames: ["controller"],
    buckets: RECONCILE_BUCKETS,
    registers,
  });
  const requests = new Counter({
    name: "memflow_operator_api_requests_total",
    help: "Requests to the API server, by method and how they ended.",
    labelNames: ["method", "code"],
    registers,
  });
  const requestDurations = new Histogram({
    name: "memflow_operator_api_request_duration_seconds",
    help: "How long the API server took to answer.",
    labelNames: ["method"],
    buckets: REQUEST_BUCKETS,
    registers,
  });
  const queues = new Map<string, ScalingFigures>();
  return {
    registry,
    scalingGauges: {
      set: (key, figures) => void queues.set(key, figures),
      remove: (key) => void queues.delete(key),
    },
    reconciled: (controller, { outcome, durationMs }) => {
      reconciles.inc({ controller, outcome });
      durations.observe({ controller }, durationMs / MS_PER_SECOND);
    },
    answered: ({ method, code, durationMs }) => {
      requests.inc({ method, code });
      requestDurations.observe({ method }, durationMs / MS_PER_SECOND);
    },
    observe: (subject) => {
      observeProcess(registry, subject);
      observeFollowed(registry, subject);
      observeQueues(registry, subject, queues);
    },
  };
}

function observeProcess(registry: Registry, subject: MetricsSubject): void {
  const leader: Gauge = new Gauge({
    name: "memflow_operator_leader",
    help: "1 in the process that leads.",
    registers: [registry],
    collect: () => leader.set(subject.isLeading() ? 1 : 0),
  });
  const keys: Gauge = new Gauge({
    name: "memflow_operator_work_queue_keys",
    help: "Objects that a controller is to look at, by state: waiting, running, delayed, failing.",
    labelNames: ["controller", "state"],
    registers: [registry],
    collect: () => {
      keys.reset();
      for (const [controller, state] of subject.queueStates()) {
        for (const name of QUEUE_STATES) keys.set({ controller, state: name }, state[`${name}Count`]);
      }
    },
  });
  const dropped: Gauge = new Gauge({
    name: "memflow_operator_events_dropped",
    help: "Happenings that became no Event since the start: too many, or refused.",
    registers: [registry],
    collect: () => dropped.set(subject.droppedEventCount()),
  });
}

function observeFollowed(registry: Registry, subject: MetricsSubject): void {
  const objects: Gauge = new Gauge({
    name: "memflow_operator_objects",
    help: "Objects that are known, by type.",
    labelNames: ["resource"],
    registers: [registry],
    collect: () => {
      for (const { type, store } of subject.followed()) objects.set({ resource: type.plural }, store.size);
    },
  });
  const silence: Gauge = new Gauge({
    name: "memflow_operator_reflector_silence_seconds",
    help: "Since the API server last said anything of a type; +Inf before the first list.",
    labelNames: ["resource"],
    registers: [registry],
    collect: () => {
      for (const { type, state } of subject.followed()) {
        silence.set({ resource: type.plural }, state.silentMs / MS_PER_SECOND);
      }
    },
  });
  const failures: Gauge = new Gauge({
    name: "memflow_operator_reflector_failures",
    help: "Failures in a row to follow a type; 0 while all is well.",
    labelNames: ["resource"],
    registers: [registry],
    collect: () => {
      for (const { type, state } of subject.followed()) {
        failures.set({ resource: type.plural }, state.failureCount);
      }
    },
  });
}

function observeQueues(
  registry: Registry,
  subject: MetricsSubject,
  queues: ReadonlyMap<string, ScalingFigures>,
): void {
  for (const { name, help, read } of QUEUE_FIGURES) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames: ["kubernetes_namespace", "task_queue"],
      registers: [registry],
      collect: () => {
        gauge.reset();
        if (!subject.isLeading()) return;
        for (const [key, figures] of queues) {
          const { namespace = "", name: taskQueue } = parseKey(key);
          gauge.set({ kubernetes_namespace: namespace, task_queue: taskQueue }, read(figures));
        }
      },
    });
  }
}
