/**
 * The figures of a worker process for Prometheus: Node's own, and what the worker is doing at the moment of asking.
 *
 * No metric has a run's id in a label. Promises to ask the worker only when it is scraped.
 */
import type { WorkerStatus } from "@memflow/sdk";
import { Gauge, Registry, collectDefaultMetrics } from "prom-client";

/** Whose figures. */
export interface MetricsSubject {
  readonly taskQueue: string;
  readonly namespace: string;
  readonly activityMax: number;
  readonly status: () => WorkerStatus;
}

/** One gauge and how it reads the worker. */
interface Figure {
  readonly name: string;
  readonly help: string;
  readonly read: (status: WorkerStatus) => number;
}

const MS_PER_SECOND = 1_000;

const FIGURES: readonly Figure[] = [
  {
    name: "memflow_worker_runs_owned",
    help: "Runs that this worker keeps in memory.",
    read: (s) => s.ownedRuns,
  },
  { name: "memflow_worker_runs_busy", help: "Runs with local work outstanding.", read: (s) => s.busyRuns },
  {
    name: "memflow_worker_activities_running",
    help: "Activity attempts in progress.",
    read: (s) => s.runningActivities,
  },
  {
    name: "memflow_worker_database_silence_seconds",
    help: "Time since the database last answered.",
    read: (s) => s.silentMs / MS_PER_SECOND,
  },
  {
    name: "memflow_worker_claiming",
    help: "1 while the worker claims work, 0 while it drains.",
    read: (s) => (s.state === "running" ? 1 : 0),
  },
];

/** Makes the registry that `/metrics` serves. */
export function makeMetrics(subject: MetricsSubject): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ namespace: subject.namespace, task_queue: subject.taskQueue });
  collectDefaultMetrics({ register: registry });
  for (const { name, help, read } of FIGURES) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers: [],
      collect: () => gauge.set(read(subject.status())),
    });
    registry.registerMetric(gauge);
  }
  new Gauge({
    name: "memflow_worker_activity_slots",
    help: "Activity attempts that may run at once.",
    registers: [registry],
  }).set(subject.activityMax);
  return registry;
}
