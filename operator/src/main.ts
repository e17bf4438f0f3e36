/**
 * The operator's process: reads its environment, runs, ends when it is asked to.
 *
 * SIGTERM and SIGINT let reconciles under way come to their end, give the lease back and end with code 0; a second signal
 * ends it at once. Its exit codes are in `exit-codes.ts`; the reason of any other end is its last line.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { ConfigError, readConfig } from "./config.ts";
import { OPERATOR_EXIT_CODES } from "./exit-codes.ts";
import {
  errorFields,
  HealthPortError,
  KubeConfigError,
  listenForStop,
  readKubeConfig,
} from "./kube/index.ts";
import { makeLog } from "./log.ts";
import { runOperator } from "./operator.ts";

/** npm and terminals may deliver one Ctrl-C twice; together they count as one. */
const SAME_SIGNAL_MS = 500;

let log = makeLog("info");
process.on("unhandledRejection", (error) => end("failed", "a rejection that nobody handled", error));
process.on("uncaughtException", (error) => end("failed", "an error that nobody caught", error));

const stop = listenForStop();
stop.signal.addEventListener("abort", endAtSecondSignal, { once: true });

try {
  const config = readConfig(process.env, { hostName: hostname(), version: ownVersion() });
  log = makeLog(config.logLevel);
  const kubeConfig = readKubeConfig(config.kubeConfigPath);
  const onListening = (ports: object): void => log("info", "listening", { ...ports, pid: process.pid });
  await runOperator({ config, kubeConfig, log, onListening }, stop.signal);
  log("info", "ended in order", errorFields(stop.signal.reason));
  process.exit(OPERATOR_EXIT_CODES.stopped);
} catch (error) {
  const isRefusal =
    error instanceof ConfigError || error instanceof KubeConfigError || error instanceof HealthPortError;
  end(isRefusal ? "refused" : "failed", "the operator can't go on", error);
}

function endAtSecondSignal(): void {
  const firstAtMs = performance.now();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (performance.now() - firstAtMs < SAME_SIGNAL_MS) return;
    log("warn", "ended at once by a second signal", { signal });
    process.exit(OPERATOR_EXIT_CODES.failed);
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}

function ownVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    readonly version: string;
  };
  return manifest.version;
}

function end(outcome: "failed" | "refused", message: string, error: unknown): never {
  const stack = error instanceof Error && outcome === "failed" ? { stack: error.stack } : {};
  log("error", message, { ...errorFields(error), ...stack });
  process.exit(OPERATOR_EXIT_CODES[outcome]);
}
