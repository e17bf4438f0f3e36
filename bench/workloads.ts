/**
 * The workloads, in the order of the table.
 */
import type { Bench } from "./bench.ts";
import { measureGrowth } from "./workloads/growth.ts";
import { measureHttpStarts } from "./workloads/http-starts.ts";
import { measureIdleWorker } from "./workloads/idle.ts";
import { measureIdleLatency, measureStepLatency } from "./workloads/latency.ts";
import { measureIdleOperator } from "./workloads/operator-idle.ts";
import { measureParkedMemory } from "./workloads/parked.ts";
import { measureTakeover } from "./workloads/takeover.ts";
import { measureThroughput } from "./workloads/throughput.ts";
import type { ThroughputWorkload } from "./workloads/throughput.ts";

/** A workload by the name that `--only` takes. */
export interface Workload {
  readonly name: string;
  measure(bench: Bench): Promise<void>;
}

const STEPS = 10;
const CHILDREN = 100;
const WAL_PER_STEP = 600;
/** Under load: fifty runs alone fill no group of twenty. */
const TRANSACTIONS_PER_STEP = 0.05;

const THROUGHPUT: readonly ThroughputWorkload[] = [
  {
    name: "no-op-100",
    job: { workflow: "noOp", count: 0 },
    outstanding: 100,
    unit: "run",
    unitsPerRun: 1,
    withDbos: true,
    targetOfRaw: 0.5,
  },
  {
    name: "no-op-500",
    job: { workflow: "noOp", count: 0 },
    outstanding: 500,
    unit: "run",
    unitsPerRun: 1,
    targetOfRaw: 0.5,
  },
  {
    name: "steps-50",
    job: { workflow: "steps", count: STEPS },
    outstanding: 50,
    unit: "step",
    unitsPerRun: STEPS,
    withDbos: true,
    targetOfRaw: 0.5,
    targetCost: { walBytes: WAL_PER_STEP },
  },
  {
    name: "steps-500",
    job: { workflow: "steps", count: STEPS },
    outstanding: 500,
    unit: "step",
    unitsPerRun: STEPS,
    targetOfRaw: 0.5,
    targetCost: { walBytes: WAL_PER_STEP, transactions: TRANSACTIONS_PER_STEP },
  },
  {
    name: "fan-out-100",
    job: { workflow: "fanOut", count: CHILDREN },
    outstanding: 10,
    unit: "child",
    unitsPerRun: CHILDREN,
  },
];

export const WORKLOADS: readonly Workload[] = [
  ...THROUGHPUT.map((workload): Workload => ({
    name: workload.name,
    measure: (bench) => measureThroughput(bench, workload),
  })),
  { name: "idle-latency", measure: measureIdleLatency },
  { name: "step-latency", measure: measureStepLatency },
  { name: "growth", measure: measureGrowth },
  { name: "takeover", measure: measureTakeover },
  { name: "parked", measure: measureParkedMemory },
  { name: "idle-worker", measure: measureIdleWorker },
  { name: "http-starts", measure: measureHttpStarts },
  { name: "operator-idle", measure: measureIdleOperator },
];
