/** What the environment may say. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ConfigError, readConfig } from "./config.ts";
import type { OperatorConfig } from "./config.ts";

function read(environment: Record<string, string>): OperatorConfig {
  return readConfig(
    { MEMFLOW_OPERATOR_NAMESPACE: "memflow", ...environment },
    { hostName: "host-1", version: "1.2.3" },
  );
}

function faultsOf(environment: Record<string, string>): ConfigError {
  try {
    read(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

test("only the namespace is required, the rest has defaults", () => {
  expect(read({})).toEqual({
    kubeConfigPath: undefined,
    namespace: "memflow",
    podName: "host-1",
    watchNamespaces: undefined,
    leaseName: "memflow-operator",
    times: { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, renewMs: 2_000, retryMs: 1_500 },
    host: undefined,
    port: 8_080,
    metricsPort: undefined,
    workerImage: { ref: "ghcr.io/memflow/worker:1.2.3", pullPolicy: "IfNotPresent" },
    logLevel: "info",
    resyncMs: 300_000,
    drainMs: 10_000,
    crashAt: undefined,
  });
});

test("an empty variable is as good as none, as charts write them", () => {
  expect(read({ MEMFLOW_OPERATOR_WATCH_NAMESPACES: "", KUBECONFIG: "", MEMFLOW_OPERATOR_PORT: "" })).toEqual(
    read({}),
  );
});

test("namespaces are listed once each, with commas between", () => {
  expect(read({ MEMFLOW_OPERATOR_WATCH_NAMESPACES: "a, b,a" }).watchNamespaces).toEqual(["a", "b"]);
  expect(faultsOf({ MEMFLOW_OPERATOR_WATCH_NAMESPACES: "a,B_" }).message).toContain('"B_"');
  expect(faultsOf({ MEMFLOW_OPERATOR_WATCH_NAMESPACES: "," }).message).toContain("names 0 namespaces");
});

test("one error names every variable at fault", () => {
  const error = faultsOf({
    MEMFLOW_OPERATOR_NAMESPACE: "",
    MEMFLOW_OPERATOR_PORT: "eighty",
    MEMFLOW_OPERATOR_LOG_LEVEL: "loud",
    MEMFLOW_OPERATOR_WORKER_PULL_POLICY: "Sometimes",
    MEMFLOW_OPERATOR_LEASE_DURATION: "1500ms",
    MEMFLOW_OPERATOR_RESYNC_PERIOD: "1",
  });
  expect(error.variables).toEqual([
    "MEMFLOW_OPERATOR_NAMESPACE",
    "MEMFLOW_OPERATOR_LEASE_DURATION",
    "MEMFLOW_OPERATOR_RENEW_DEADLINE",
    "MEMFLOW_OPERATOR_PORT",
    "MEMFLOW_OPERATOR_WORKER_PULL_POLICY",
    "MEMFLOW_OPERATOR_LOG_LEVEL",
    "MEMFLOW_OPERATOR_RESYNC_PERIOD",
  ]);
  expect(error.message).toContain('MEMFLOW_OPERATOR_LOG_LEVEL is "loud", must be debug, info, warn, error');
});

test("times of the election that can't keep its promise are refused", () => {
  expect(
    faultsOf({ MEMFLOW_OPERATOR_RENEW_PERIOD: "8s", MEMFLOW_OPERATOR_RETRY_PERIOD: "2s" }).variables,
  ).toEqual(["MEMFLOW_OPERATOR_RENEW_PERIOD"]);
});

test("every variable stands in the table of the file and in docs/operator.md", () => {
  const source = readFileSync(new URL("config.ts", import.meta.url), "utf8");
  const page = readFileSync(new URL("../../docs/operator.md", import.meta.url), "utf8");
  const names = new Set([...source.matchAll(/"(MEMFLOW_\w+|KUBECONFIG)"/gu)].map(([, name]) => name ?? ""));
  expect(names.size).toBeGreaterThan(15);
  const missing = [...names].filter(
    (name) => !source.includes(` * | ${name} |`) || !page.includes(`| \`${name}\``),
  );
  expect(missing).toEqual([]);
});
