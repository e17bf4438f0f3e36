/**
 * The gateway's process: reads its environment, runs, ends when it is asked to.
 *
 * `main.js make-key` prints a key for a keys file, and the hash that stands there for it, and ends.
 *
 * SIGTERM and SIGINT let requests under way come to their end, and end with code 0; a second signal ends it at once. Code 2 is
 * for an environment that has to be changed, code 1 for any other end; the reason is its last line.
 */
import {
  errorFields,
  HealthPortError,
  KubeConfigError,
  listenForStop,
  readKubeConfig,
} from "@memflow/operator/kube";
import { ApiPortError } from "./api-server.ts";
import { KeysFileError, makeKey } from "./auth/static-keys.ts";
import { ConfigError, readConfig } from "./config.ts";
import { runGateway } from "./gateway-process.ts";
import { makeLog } from "./log.ts";

const EXIT_CODES = { stopped: 0, failed: 1, refused: 2 } as const;

if (process.argv[2] === "make-key") {
  const { key, hash } = makeKey();
  process.stdout.write(`key: ${key}\nhash: ${hash}\n`);
  process.exit(EXIT_CODES.stopped);
}

let log = makeLog("info");
process.on("unhandledRejection", (error) => end("failed", "a rejection that nobody handled", error));
process.on("uncaughtException", (error) => end("failed", "an error that nobody caught", error));

const stop = listenForStop();

try {
  const config = readConfig(process.env);
  log = makeLog(config.logLevel);
  const kubeConfig = config.form.kind === "cluster" ? readKubeConfig(config.form.kubeConfigPath) : undefined;
  const onListening = (ports: object): void => log("info", "listening", { ...ports, pid: process.pid });
  await runGateway({ config, kubeConfig, log, onListening }, stop.signal);
  if (!stop.signal.aborted) end("failed", "the gateway ended by itself", undefined);
  log("info", "ended in order", errorFields(stop.signal.reason));
  process.exit(EXIT_CODES.stopped);
} catch (error) {
  const refusals = [ConfigError, KubeConfigError, HealthPortError, ApiPortError, KeysFileError];
  const isRefusal = refusals.some((Refusal) => error instanceof Refusal);
  end(isRefusal ? "refused" : "failed", "the gateway can't go on", error);
}

function end(outcome: "failed" | "refused", message: string, error: unknown): never {
  const stack = error instanceof Error && outcome === "failed" ? { stack: error.stack } : {};
  log("error", message, { ...errorFields(error), ...stack });
  process.exit(EXIT_CODES[outcome]);
}
