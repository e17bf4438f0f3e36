/** The figures of a gateway process for Prometheus. Each is explained in docs/gateway.md. No label holds a name that callers choose. */
import type { AnswerFacts, FollowedObjects, KubeObject } from "@memflow/operator/kube";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** A request to the API that was answered. */
export interface AnsweredCall {
  /** Undefined: of no operation. */
  readonly operationId: string | undefined;
  readonly status: number;
  readonly durationMs: number;
}

/** What is asked when the process is scraped. */
export interface MetricsSubject {
  readonly openStoreCount: () => number;
  readonly followed: () => readonly Pick<FollowedObjects<KubeObject>, "type" | "state">[];
}

/** Counts what happens, and serves it. */
export interface GatewayMetrics {
  readonly registry: Registry;
  answered(call: AnsweredCall): void;
  /** By the API server, to us. */
  told(facts: AnswerFacts): void;
  observe(subject: MetricsSubject): void;
}

const MS_PER_SECOND = 1_000;
const BUCKETS = [0.002, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** Makes the registry that `/metrics` serves. */
export function makeMetrics(): GatewayMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "memflow_gateway_requests_total",
    help: "Requests that were answered, by operation and status.",
    labelNames: ["operation", "status"],
    registers,
  });
  const durations = new Histogram({
    name: "memflow_gateway_request_duration_seconds",
    help: "How long answers took; long polls and streams take as long as they wait.",
    labelNames: ["operation"],
    buckets: BUCKETS,
    registers,
  });
  const asked = new Counter({
    name: "memflow_gateway_api_requests_total",
    help: "Requests to the API server, by method and how they ended.",
    labelNames: ["method", "code"],
    registers,
  });
  const askedDurations = new Histogram({
    name: "memflow_gateway_api_request_duration_seconds",
    help: "How long the API server took to answer.",
    labelNames: ["method"],
    buckets: BUCKETS,
    registers,
  });
  return {
    registry,
    answered: ({ operationId = "none", status, durationMs }) => {
      requests.inc({ operation: operationId, status });
      durations.observe({ operation: operationId }, durationMs / MS_PER_SECOND);
    },
    told: ({ method, code, durationMs }) => {
      asked.inc({ method, code });
      askedDurations.observe({ method }, durationMs / MS_PER_SECOND);
    },
    observe: (subject) => observe(registry, subject),
  };
}

function observe(registry: Registry, { openStoreCount, followed }: MetricsSubject): void {
  const stores: Gauge = new Gauge({
    name: "memflow_gateway_stores",
    help: "Stores that are connected.",
    registers: [registry],
    collect: () => stores.set(openStoreCount()),
  });
  const silence: Gauge = new Gauge({
    name: "memflow_gateway_reflector_silence_seconds",
    help: "Since the API server last said anything of a type; +Inf before the first list.",
    labelNames: ["resource"],
    registers: [registry],
    collect: () => {
      for (const { type, state } of followed()) {
        silence.set({ resource: type.plural }, state.silentMs / MS_PER_SECOND);
      }
    },
  });
}
