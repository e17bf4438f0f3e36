/**
 * What the operator's process is told by its environment.
 *
 * | variable | meaning | default |
 * |---|---|---|
 * | KUBECONFIG | cluster and credentials, outside a cluster | those of the pod |
 * | MEMFLOW_OPERATOR_NAMESPACE | Kubernetes namespace of the operator, where its Lease is | required |
 * | MEMFLOW_OPERATOR_POD_NAME | name of this process, shown in the Lease and in Events | the host's name |
 * | MEMFLOW_OPERATOR_WATCH_NAMESPACES | Kubernetes namespaces to look after, with commas between | all |
 * | MEMFLOW_OPERATOR_LEASE_NAME | name of the Lease | memflow-operator |
 * | MEMFLOW_OPERATOR_LEASE_DURATION | how long others wait for a leader that is silent, whole seconds | 15s |
 * | MEMFLOW_OPERATOR_RENEW_DEADLINE | how long the leader believes in a renewal | 10s |
 * | MEMFLOW_OPERATOR_RENEW_PERIOD | time between two renewals | 2s |
 * | MEMFLOW_OPERATOR_RETRY_PERIOD | time between two looks of a standby | 1500ms |
 * | MEMFLOW_OPERATOR_HOST | address of the health server | all addresses |
 * | MEMFLOW_OPERATOR_PORT | port of /healthz and /readyz, 0 for any | 8080 |
 * | MEMFLOW_OPERATOR_METRICS_PORT | port of /metrics, 0 for any | that of the health server |
 * | MEMFLOW_OPERATOR_WORKER_IMAGE | image of workers whose TaskQueue brings code and no image | ghcr.io/memflow/worker:VERSION |
 * | MEMFLOW_OPERATOR_WORKER_PULL_POLICY | Always, IfNotPresent or Never, for that image | IfNotPresent |
 * | MEMFLOW_OPERATOR_LOG_LEVEL | debug, info, warn or error | info |
 * | MEMFLOW_OPERATOR_RESYNC_PERIOD | time between two looks at what nothing announces | 5m |
 * | MEMFLOW_OPERATOR_DRAIN_TIMEOUT | how long reconciles under way may go on after SIGTERM | 10s |
 * | MEMFLOW_OPERATOR_CRASH_AT | for tests: the places where the process kills itself | none |
 *
 * Durations are texts such as "250ms", "30s", "1h30m", as in manifests. Pure. Promises one error that names every variable that is missing or bad.
 */
import { durationMs } from "@memflow/crds";
import type { ElectionTimes, LogLevel } from "./kube/index.ts";

/** The settings, checked. */
export interface OperatorConfig {
  /** Undefined: the pod's service account. */
  readonly kubeConfigPath: string | undefined;
  readonly namespace: string;
  readonly podName: string;
  /** Undefined: all. */
  readonly watchNamespaces: readonly string[] | undefined;
  readonly leaseName: string;
  readonly times: Pick<ElectionTimes, "leaseDurationMs" | "renewDeadlineMs" | "renewMs" | "retryMs">;
  readonly host: string | undefined;
  readonly port: number;
  /** Undefined: that of the health server. */
  readonly metricsPort: number | undefined;
  readonly workerImage: { readonly ref: string; readonly pullPolicy: PullPolicy };
  readonly logLevel: LogLevel;
  readonly resyncMs: number;
  readonly drainMs: number;
  readonly crashAt: string | undefined;
}

export type PullPolicy = (typeof PULL_POLICIES)[number];

/** Where a value of the environment may come from if it is not there. */
export interface ConfigDefaults {
  readonly hostName: string;
  /** Of this operator: its workers are of the same. */
  readonly version: string;
}

/** The environment lacks something or holds something bad. */
export class ConfigError extends Error {
  readonly code = "BAD_CONFIG";
  /** Names of the variables at fault. */
  readonly variables: readonly string[];

  constructor(faults: readonly ConfigFault[]) {
    super(faults.map(({ variable, reason }) => `${variable} ${reason}`).join("; "));
    this.name = "ConfigError";
    this.variables = faults.map(({ variable }) => variable);
  }
}

interface ConfigFault {
  readonly variable: string;
  readonly reason: string;
}

/** Of a duration, each as text. */
interface DurationBounds {
  readonly fallback: string;
  readonly min: string;
  readonly max: string;
}

interface Bounds {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
}

const PULL_POLICIES = ["Always", "IfNotPresent", "Never"] as const;
const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u;
const NAMESPACE_MAX = 100;
const PORT_MAX = 65_535;
const RENEWAL_MS_MIN = 200;
const DURATION = /^(\d{1,9}(h|m|s|ms))+$/u;

/**
 * Reads the settings.
 *
 * @throws {ConfigError} Naming each variable that is missing or bad.
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  { hostName, version }: ConfigDefaults,
): OperatorConfig {
  const faults: ConfigFault[] = [];
  const read = new EnvironmentReader(environment, faults);
  const config: OperatorConfig = {
    kubeConfigPath: read.text("KUBECONFIG"),
    namespace: read.namespace("MEMFLOW_OPERATOR_NAMESPACE"),
    podName: read.text("MEMFLOW_OPERATOR_POD_NAME") ?? hostName,
    watchNamespaces: read.namespaces("MEMFLOW_OPERATOR_WATCH_NAMESPACES"),
    leaseName: read.text("MEMFLOW_OPERATOR_LEASE_NAME") ?? "memflow-operator",
    times: read.times(),
    host: read.text("MEMFLOW_OPERATOR_HOST"),
    port: read.integer("MEMFLOW_OPERATOR_PORT", { fallback: 8_080, min: 0, max: PORT_MAX }),
    metricsPort: read.optionalInteger("MEMFLOW_OPERATOR_METRICS_PORT", { min: 0, max: PORT_MAX }),
    workerImage: {
      ref: read.text("MEMFLOW_OPERATOR_WORKER_IMAGE") ?? `ghcr.io/memflow/worker:${version}`,
      pullPolicy: read.oneOf("MEMFLOW_OPERATOR_WORKER_PULL_POLICY", PULL_POLICIES, "IfNotPresent"),
    },
    logLevel: read.oneOf("MEMFLOW_OPERATOR_LOG_LEVEL", LOG_LEVELS, "info"),
    resyncMs: read.duration("MEMFLOW_OPERATOR_RESYNC_PERIOD", { fallback: "5m", min: "1s", max: "1h" }),
    drainMs: read.duration("MEMFLOW_OPERATOR_DRAIN_TIMEOUT", { fallback: "10s", min: "0s", max: "10m" }),
    crashAt: read.text("MEMFLOW_OPERATOR_CRASH_AT"),
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

/** Reads variables one by one and collects what is wrong with them. */
class EnvironmentReader {
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #faults: ConfigFault[];

  constructor(environment: Readonly<Record<string, string | undefined>>, faults: ConfigFault[]) {
    this.#environment = environment;
    this.#faults = faults;
  }

  /** What is empty counts as not there: charts write empty values. */
  text(variable: string): string | undefined {
    const value = this.#environment[variable];
    return value === undefined || value === "" ? undefined : value;
  }

  namespace(variable: string): string {
    const value = this.text(variable);
    if (value === undefined) {
      this.#fault(variable, "is missing: give the pod its namespace by fieldRef metadata.namespace");
      return "";
    }
    this.#checkNamespace(variable, value);
    return value;
  }

  namespaces(variable: string): readonly string[] | undefined {
    const value = this.text(variable);
    if (value === undefined) return undefined;
    const names = [...new Set(value.split(",").map((name) => name.trim()))].filter((name) => name !== "");
    for (const name of names) this.#checkNamespace(variable, name);
    if (names.length === 0 || names.length > NAMESPACE_MAX) {
      this.#fault(
        variable,
        `names ${names.length} namespaces, must name 1 to ${NAMESPACE_MAX}, or be empty for all`,
      );
    }
    return names;
  }

  oneOf<Choice extends string>(variable: string, choices: readonly Choice[], fallback: Choice): Choice {
    const value = this.text(variable);
    if (value === undefined) return fallback;
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) this.#fault(variable, `is "${value}", must be ${choices.join(", ")}`);
    return choice ?? fallback;
  }

  integer(variable: string, { fallback, ...bounds }: Bounds): number {
    return this.optionalInteger(variable, bounds) ?? fallback;
  }

  optionalInteger(variable: string, { min, max }: Omit<Bounds, "fallback">): number | undefined {
    const value = this.text(variable);
    if (value === undefined) return undefined;
    const number = /^\d+$/u.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    this.#fault(variable, `is "${value}", must be a whole number from ${min} to ${max}`);
    return undefined;
  }

  duration(variable: string, { fallback, min, max }: DurationBounds): number {
    const value = this.text(variable) ?? fallback;
    const ms = DURATION.test(value) ? durationMs(value) : Number.NaN;
    if (ms >= durationMs(min) && ms <= durationMs(max)) return ms;
    this.#fault(variable, `is "${value}", must be a duration from ${min} to ${max}, like "250ms" or "30s"`);
    return durationMs(fallback);
  }

  /** The times of the election, as far as each alone can be judged; the elector knows how they must fit together. */
  times(): OperatorConfig["times"] {
    const leaseDurationMs = this.duration("MEMFLOW_OPERATOR_LEASE_DURATION", {
      fallback: "15s",
      min: "1s",
      max: "1h",
    });
    if (leaseDurationMs % 1_000 !== 0) {
      this.#fault("MEMFLOW_OPERATOR_LEASE_DURATION", `is "${leaseDurationMs}ms", must be whole seconds`);
    }
    const renewDeadlineMs = this.duration("MEMFLOW_OPERATOR_RENEW_DEADLINE", {
      fallback: "10s",
      min: "500ms",
      max: "1h",
    });
    if (renewDeadlineMs >= leaseDurationMs) {
      this.#fault(
        "MEMFLOW_OPERATOR_RENEW_DEADLINE",
        `is "${renewDeadlineMs}ms", must be below MEMFLOW_OPERATOR_LEASE_DURATION ("${leaseDurationMs}ms")`,
      );
    }
    const renewMs = this.duration("MEMFLOW_OPERATOR_RENEW_PERIOD", {
      fallback: "2s",
      min: "10ms",
      max: "1h",
    });
    const retryMs = this.duration("MEMFLOW_OPERATOR_RETRY_PERIOD", {
      fallback: "1500ms",
      min: "10ms",
      max: "1h",
    });
    // Less would leave no time for a renewal that hangs and another one.
    const requestsMs = renewDeadlineMs - renewMs - retryMs;
    if (requestsMs < RENEWAL_MS_MIN) {
      this.#fault(
        "MEMFLOW_OPERATOR_RENEW_PERIOD",
        `is "${renewMs}ms", must with MEMFLOW_OPERATOR_RETRY_PERIOD ("${retryMs}ms") leave ${RENEWAL_MS_MIN} ms of MEMFLOW_OPERATOR_RENEW_DEADLINE ("${renewDeadlineMs}ms")`,
      );
    }
    return { leaseDurationMs, renewDeadlineMs, renewMs, retryMs };
  }

  #checkNamespace(variable: string, name: string): void {
    if (NAMESPACE.test(name)) return;
    this.#fault(variable, `names "${name}", which is no name of a namespace: use letters, digits and "-"`);
  }

  #fault(variable: string, reason: string): void {
    this.#faults.push({ variable, reason });
  }
}
