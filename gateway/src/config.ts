/**
 * What the gateway's process is told by its environment.
 *
 * | variable | meaning | default |
 * |---|---|---|
 * | KUBECONFIG | cluster and credentials, outside a cluster | those of the pod |
 * | MEMFLOW_GATEWAY_NAMESPACE | Kubernetes namespace of the gateway, where its certificate is kept and published | required in a cluster |
 * | MEMFLOW_GATEWAY_WATCH_NAMESPACES | Kubernetes namespaces whose Stores are served, with commas between | all |
 * | MEMFLOW_GATEWAY_DATABASE_URL | connection string of the one Store that is served without a cluster | none: a cluster is asked |
 * | MEMFLOW_GATEWAY_SCHEMA | schema of that Store | memflow |
 * | MEMFLOW_GATEWAY_KEYS_FILE | keys that are taken without a cluster | none: this machine alone is answered |
 * | MEMFLOW_GATEWAY_HOST | address to listen on | all addresses; without cluster and keys 127.0.0.1 |
 * | MEMFLOW_GATEWAY_PORT | port of the API, 0 for any | 8443 |
 * | MEMFLOW_GATEWAY_HEALTH_HOST | address of the health server | as the API's |
 * | MEMFLOW_GATEWAY_HEALTH_PORT | port of /healthz, /readyz and /metrics, 0 for any | 8080 |
 * | MEMFLOW_GATEWAY_TLS_CERT_FILE | serving certificate, as PEM; read again when it changes | self-made in a cluster, else no TLS |
 * | MEMFLOW_GATEWAY_TLS_KEY_FILE | its key | with the certificate |
 * | MEMFLOW_GATEWAY_TLS_CA_FILE | authorities that clients verify it with | those that their systems know |
 * | MEMFLOW_GATEWAY_TLS_SECRET | Secret of the self-made certificate | memflow-gateway-tls |
 * | MEMFLOW_GATEWAY_TLS_NAMES | names of the gateway, with commas between; clients verify the first | required in a cluster |
 * | MEMFLOW_GATEWAY_TOKEN_AUDIENCES | audiences of tokens for the gateway, with commas between | memflow |
 * | MEMFLOW_GATEWAY_API_SERVER_TOKENS | whether tokens for the API server are taken too, as kubeconfigs have them | true |
 * | MEMFLOW_GATEWAY_CLIENT_CERTIFICATES | whether the cluster's client certificates are taken | true |
 * | MEMFLOW_GATEWAY_AUDIT | all, or changes: reads that were allowed are left out | all |
 * | MEMFLOW_GATEWAY_LOG_LEVEL | debug, info, warn or error | info |
 * | MEMFLOW_GATEWAY_STOP_DELAY | how long requests are still taken after SIGTERM, while others learn that it stops | 3s |
 * | MEMFLOW_GATEWAY_DRAIN_TIMEOUT | how long requests under way may then take | 15s |
 *
 * Durations are texts such as "250ms" or "30s". Pure. Promises one error that names every variable that is missing or bad.
 */
import { durationMs } from "@memflow/crds";
import type { LogLevel } from "@memflow/operator/kube";
import type { AuditScope } from "./auth/audit-log.ts";
import type { TokenRules } from "./auth/token-authenticator.ts";
import type { CertificateFiles } from "./tls/serving-certificate.ts";

/** Users, rights and Stores are a cluster's. */
export interface ClusterForm {
  readonly kind: "cluster";
  /** Undefined: the pod's service account. */
  readonly kubeConfigPath: string | undefined;
  readonly namespace: string;
  /** Undefined: all. */
  readonly watchNamespaces: readonly string[] | undefined;
  readonly tokens: TokenRules;
  readonly clientCertificates: boolean;
  readonly tlsSecret: string;
  readonly tlsNames: readonly string[];
}

/** One Store, and keys or nobody but this machine. */
export interface PlainForm {
  readonly kind: "plain";
  readonly databaseUrl: string;
  readonly schema: string;
  readonly keysFile: string | undefined;
}

/** The settings, checked. */
export interface GatewayConfig {
  readonly form: ClusterForm | PlainForm;
  readonly host: string | undefined;
  readonly port: number;
  readonly healthHost: string | undefined;
  readonly healthPort: number;
  readonly tlsFiles: CertificateFiles | undefined;
  readonly audit: AuditScope;
  readonly logLevel: LogLevel;
  readonly stopDelayMs: number;
  readonly drainMs: number;
}

/** The environment lacks something or holds something bad. */
export class ConfigError extends Error {
  readonly code = "BAD_CONFIG";
  /** Names of the variables at fault. */
  readonly variables: readonly string[];

  constructor(faults: readonly Fault[]) {
    super(faults.map(({ variable, reason }) => `${variable} ${reason}`).join("; "));
    this.name = "ConfigError";
    this.variables = faults.map(({ variable }) => variable);
  }
}

interface Fault {
  readonly variable: string;
  readonly reason: string;
}

const PREFIX = "MEMFLOW_GATEWAY_";
const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
const AUDIT_SCOPES = ["all", "changes"] as const;
const LOOPBACK_HOSTS: readonly string[] = ["127.0.0.1", "::1", "localhost"];
const LOOPBACK = "127.0.0.1";
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u;
const LIST_MAX = 100;
const PORT_MAX = 65_535;
const DURATION = /^(\d{1,9}(h|m|s|ms))+$/u;
const DURATION_MAX = "10m";

/**
 * Reads the settings.
 *
 * @throws {ConfigError} Naming each variable that is missing or bad.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): GatewayConfig {
  const faults: Fault[] = [];
  const read = new EnvironmentReader(environment, faults);
  const databaseUrl = read.text("DATABASE_URL");
  const tlsFiles = readTlsFiles(read);
  const form = databaseUrl === undefined ? readCluster(read, tlsFiles) : readPlain(read, databaseUrl);
  const isLocal = form.kind === "plain" && form.keysFile === undefined;
  const host = read.text("HOST") ?? (isLocal ? LOOPBACK : undefined);
  if (form.kind === "plain") checkReach(read, { host, hasKeys: !isLocal, hasTls: tlsFiles !== undefined });
  const config: GatewayConfig = {
    form,
    host,
    port: read.port("PORT", 8_443),
    healthHost: read.text("HEALTH_HOST") ?? host,
    healthPort: read.port("HEALTH_PORT", 8_080),
    tlsFiles,
    audit: read.oneOf("AUDIT", AUDIT_SCOPES, "all"),
    logLevel: read.oneOf("LOG_LEVEL", LOG_LEVELS, "info"),
    stopDelayMs: read.duration("STOP_DELAY", "3s"),
    drainMs: read.duration("DRAIN_TIMEOUT", "15s"),
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

function readCluster(read: EnvironmentReader, tlsFiles: CertificateFiles | undefined): ClusterForm {
  const namespace = read.text("NAMESPACE") ?? "";
  if (namespace === "")
    read.fault("NAMESPACE", "is missing: give the pod its namespace by fieldRef metadata.namespace");
  else read.checkNamespace("NAMESPACE", namespace);
  const watchNamespaces = read.list("WATCH_NAMESPACES");
  for (const name of watchNamespaces ?? []) read.checkNamespace("WATCH_NAMESPACES", name);
  const tlsNames = read.list("TLS_NAMES") ?? [];
  if (tlsNames.length === 0 && tlsFiles === undefined) {
    read.fault(
      "TLS_NAMES",
      "is missing: name the gateway's Service, or give a certificate by MEMFLOW_GATEWAY_TLS_CERT_FILE",
    );
  }
  if (read.text("KEYS_FILE") !== undefined) {
    read.fault("KEYS_FILE", "is for a gateway without a cluster: leave it out, users are the cluster's");
  }
  return {
    kind: "cluster",
    kubeConfigPath: read.plain("KUBECONFIG"),
    namespace,
    watchNamespaces,
    tokens: {
      audiences: read.list("TOKEN_AUDIENCES") ?? ["memflow"],
      ofApiServer: read.boolean("API_SERVER_TOKENS", true),
    },
    clientCertificates: read.boolean("CLIENT_CERTIFICATES", true),
    tlsSecret: read.text("TLS_SECRET") ?? "memflow-gateway-tls",
    tlsNames,
  };
}

function readPlain(read: EnvironmentReader, databaseUrl: string): PlainForm {
  return {
    kind: "plain",
    databaseUrl,
    schema: read.text("SCHEMA") ?? "memflow",
    keysFile: read.text("KEYS_FILE"),
  };
}

function readTlsFiles(read: EnvironmentReader): CertificateFiles | undefined {
  const certFile = read.text("TLS_CERT_FILE");
  const keyFile = read.text("TLS_KEY_FILE");
  if (certFile !== undefined && keyFile !== undefined) {
    return { certFile, keyFile, authorityFile: read.text("TLS_CA_FILE") };
  }
  if (certFile !== undefined) read.fault("TLS_KEY_FILE", "is missing beside MEMFLOW_GATEWAY_TLS_CERT_FILE");
  if (keyFile !== undefined) read.fault("TLS_CERT_FILE", "is missing beside MEMFLOW_GATEWAY_TLS_KEY_FILE");
  return undefined;
}

/** Nobody but this machine without keys, and no key in the clear. */
function checkReach(
  read: EnvironmentReader,
  reach: { readonly host: string | undefined; readonly hasKeys: boolean; readonly hasTls: boolean },
): void {
  const { host = "", hasKeys, hasTls } = reach;
  if (LOOPBACK_HOSTS.includes(host)) return;
  const shown = host === "" ? "left out" : `"${host}"`;
  if (!hasKeys) {
    read.fault(
      "HOST",
      `is ${shown}, must be 127.0.0.1 without MEMFLOW_GATEWAY_KEYS_FILE: whoever reaches it may do everything`,
    );
  } else if (!hasTls) {
    read.fault(
      "HOST",
      `is ${shown}, must be 127.0.0.1 without MEMFLOW_GATEWAY_TLS_CERT_FILE: keys would travel in the clear`,
    );
  }
}

/** Reads variables one by one and collects what is wrong with them. */
class EnvironmentReader {
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #faults: Fault[];

  constructor(environment: Readonly<Record<string, string | undefined>>, faults: Fault[]) {
    this.#environment = environment;
    this.#faults = faults;
  }

  /** What is empty counts as not there: charts write empty values. */
  plain(variable: string): string | undefined {
    const value = this.#environment[variable];
    return value === undefined || value === "" ? undefined : value;
  }

  text(name: string): string | undefined {
    return this.plain(PREFIX + name);
  }

  list(name: string): readonly string[] | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const items = [...new Set(value.split(",").map((item) => item.trim()))].filter((item) => item !== "");
    if (items.length === 0 || items.length > LIST_MAX) {
      this.fault(name, `has ${items.length} items, must have 1 to ${LIST_MAX}, or be empty`);
    }
    return items;
  }

  oneOf<Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const value = this.text(name) ?? fallback;
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) this.fault(name, `is "${value}", must be ${choices.join(" or ")}`);
    return choice ?? fallback;
  }

  boolean(name: string, fallback: boolean): boolean {
    return this.oneOf(name, ["true", "false"], fallback ? "true" : "false") === "true";
  }

  port(name: string, fallback: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const port = /^\d+$/u.test(value) ? Number(value) : Number.NaN;
    if (port <= PORT_MAX) return port;
    this.fault(name, `is "${value}", must be a whole number from 0 to ${PORT_MAX}`);
    return fallback;
  }

  duration(name: string, fallback: string): number {
    const value = this.text(name) ?? fallback;
    const ms = DURATION.test(value) ? durationMs(value) : Number.NaN;
    if (ms <= durationMs(DURATION_MAX)) return ms;
    this.fault(name, `is "${value}", must be a duration up to ${DURATION_MAX}, like "250ms" or "30s"`);
    return durationMs(fallback);
  }

  checkNamespace(name: string, namespace: string): void {
    if (NAMESPACE.test(namespace)) return;
    this.fault(name, `names "${namespace}", which is no name of a namespace: use letters, digits and "-"`);
  }

  fault(name: string, reason: string): void {
    this.#faults.push({ variable: PREFIX + name, reason });
  }
}
