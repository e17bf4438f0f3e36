/** What a gateway's environment may say, and what it refuses by name. */
import { expect, test } from "vitest";
import { ConfigError, readConfig } from "./config.ts";

const IN_CLUSTER = { MEMFLOW_GATEWAY_NAMESPACE: "memflow", MEMFLOW_GATEWAY_TLS_NAMES: "gw.memflow.svc,gw" };
const PLAIN = { MEMFLOW_GATEWAY_DATABASE_URL: "postgres://127.0.0.1/app" };
const TLS = { MEMFLOW_GATEWAY_TLS_CERT_FILE: "/c", MEMFLOW_GATEWAY_TLS_KEY_FILE: "/k" };

function faultsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  try {
    readConfig(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigError)
      return error.variables.map((name) => name.replace("MEMFLOW_GATEWAY_", ""));
    throw error;
  }
}

test("a gateway in a cluster takes the cluster's users, and listens everywhere with TLS", () => {
  expect(readConfig(IN_CLUSTER)).toEqual({
    form: {
      kind: "cluster",
      kubeConfigPath: undefined,
      namespace: "memflow",
      watchNamespaces: undefined,
      tokens: { audiences: ["memflow"], ofApiServer: true },
      clientCertificates: true,
      tlsSecret: "memflow-gateway-tls",
      tlsNames: ["gw.memflow.svc", "gw"],
    },
    host: undefined,
    port: 8_443,
    healthHost: undefined,
    healthPort: 8_080,
    tlsFiles: undefined,
    audit: "all",
    logLevel: "info",
    stopDelayMs: 3_000,
    drainMs: 15_000,
  });
});

test("a gateway of a database answers this machine alone, unless it has keys and TLS", () => {
  expect(readConfig(PLAIN).host).toBe("127.0.0.1");
  const keys = { MEMFLOW_GATEWAY_KEYS_FILE: "/keys" };
  expect(readConfig({ ...PLAIN, ...keys, ...TLS }).host).toBeUndefined();
  expect(readConfig({ ...PLAIN, ...keys, MEMFLOW_GATEWAY_HOST: "::1" }).host).toBe("::1");
  expect(faultsOf({ ...PLAIN, MEMFLOW_GATEWAY_HOST: "0.0.0.0" })).toEqual(["HOST"]);
  expect(faultsOf({ ...PLAIN, ...TLS, MEMFLOW_GATEWAY_HOST: "0.0.0.0" })).toEqual(["HOST"]);
  expect(faultsOf({ ...PLAIN, ...keys })).toEqual(["HOST"]);
});

test("all that is wrong is named at once", () => {
  const environment = {
    MEMFLOW_GATEWAY_PORT: "70000",
    MEMFLOW_GATEWAY_AUDIT: "none",
    MEMFLOW_GATEWAY_WATCH_NAMESPACES: "Team_A",
    MEMFLOW_GATEWAY_API_SERVER_TOKENS: "yes",
    MEMFLOW_GATEWAY_DRAIN_TIMEOUT: "soon",
    MEMFLOW_GATEWAY_TLS_CERT_FILE: "/c",
    MEMFLOW_GATEWAY_KEYS_FILE: "/keys",
  };
  expect(faultsOf(environment).toSorted()).toEqual([
    "API_SERVER_TOKENS",
    "AUDIT",
    "DRAIN_TIMEOUT",
    "KEYS_FILE",
    "NAMESPACE",
    "PORT",
    "TLS_KEY_FILE",
    "TLS_NAMES",
    "WATCH_NAMESPACES",
  ]);
});
