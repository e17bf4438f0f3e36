/**
 * Everything that reaches out of the process is refused inside a run: it belongs into an activity.
 *
 * Covers files, sockets, HTTP, DNS, child processes, threads and message channels. Writing to stdout and stderr stays
 * allowed, so that `console` and loggers work. What it does not cover (`zlib` on Node's thread pool, `node:sqlite`, a
 * socket that was opened outside and is only written to) is found by the check that a run at rest waits for something
 * durable.
 */
import childProcess from "node:child_process";
import dgram from "node:dgram";
import dns from "node:dns";
import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import workerThreads from "node:worker_threads";
import { currentRun } from "./guard-hooks.ts";
import type { BuiltIn } from "./function-replacement.ts";
import { aliasFunctions, refuseInRuns, replaceFunction } from "./function-replacement.ts";

const STDOUT_FD = 1;
const STDERR_FD = 2;

/** Functions of `fs` that take a file descriptor first and are how loggers write to stdout and stderr. */
const FD_WRITERS: readonly string[] = [
  "write",
  "writeSync",
  "writev",
  "writevSync",
  "fsync",
  "fsyncSync",
  "fdatasync",
  "fdatasyncSync",
];

/** Refuses I/O inside runs. */
export function guardIo(): void {
  guardFiles();
  guardNetwork();
  const owner = childProcess;
  refuseInRuns({ owner, ownerName: "node:child_process", names: functionNames(owner) });
  const channels = ["MessageChannel", "BroadcastChannel"];
  refuseInRuns({
    owner: workerThreads,
    ownerName: "node:worker_threads",
    names: ["Worker", "postMessageToThread", ...channels],
  });
  aliasFunctions(workerThreads, globalThis, channels);
  refuseInRuns({ owner: globalThis, ownerName: "", names: ["fetch", "EventSource"] });
  guardWebSocket();
}

function guardFiles(): void {
  for (const owner of [fs.realpath, fs.realpathSync]) {
    refuseInRuns({ owner, ownerName: `node:fs.${owner.name}`, names: ["native"] });
  }
  refuseInRuns({
    owner: fs,
    ownerName: "node:fs",
    names: functionNames(fs).filter((name) => !FD_WRITERS.includes(name)),
  });
  refuseInRuns({
    owner: fs,
    ownerName: "node:fs",
    names: FD_WRITERS,
    isHarmless: ([fd]) => fd === STDOUT_FD || fd === STDERR_FD,
  });
  const { promises } = fs;
  refuseInRuns({ owner: promises, ownerName: "node:fs/promises", names: functionNames(promises) });
}

function guardNetwork(): void {
  const httpNames = ["request", "get", "createServer"];
  refuseInRuns({ owner: http, ownerName: "node:http", names: [...httpNames, "ClientRequest"] });
  refuseInRuns({ owner: https, ownerName: "node:https", names: httpNames });
  const http2Names = ["connect", "createServer", "createSecureServer"];
  refuseInRuns({ owner: http2, ownerName: "node:http2", names: http2Names });
  refuseInRuns({ owner: tls, ownerName: "node:tls", names: ["connect", "createServer"] });
  const netNames = ["connect", "createConnection", "createServer"];
  refuseInRuns({ owner: net, ownerName: "node:net", names: netNames });
  // Every connection of Node goes through these two, whichever module it was asked from.
  replaceFunction(net.Socket.prototype, "connect", failingConnect);
  refuseInRuns({ owner: net.Server.prototype, ownerName: "Server", names: ["listen"] });
  refuseInRuns({ owner: dgram, ownerName: "node:dgram", names: ["createSocket", "Socket"] });
  const { promises, Resolver } = dns;
  for (const [owner, ownerName] of [
    [dns, "node:dns"],
    [promises, "node:dns/promises"],
    [Resolver.prototype, "Resolver"],
    [promises.Resolver.prototype, "Resolver"],
  ] as const) {
    const names = functionNames(owner).filter((name) => /^(lookup|resolve|reverse)/.test(name));
    refuseInRuns({ owner, ownerName, names });
  }
}

/**
 * A pool outlives the run that asks it by mistake. An exception in the middle of its bookkeeping would cost it a
 * connection for good; a socket that fails as sockets do lets it clean up. The run keeps the violation either way.
 */
function failingConnect(original: BuiltIn): BuiltIn {
  return function connect(this: unknown, ...values: unknown[]): unknown {
    const run = currentRun();
    if (run === undefined || !(this instanceof net.Socket)) return Reflect.apply(original, this, values);
    // Its owner may listen or not: nobody else is to hear of it.
    this.on("error", () => undefined);
    return this.destroy(run.violation("Socket.connect"));
  };
}

/** Reading this global loads all of undici (some 25 ms), so it is read, and guarded, when somebody asks for it. */
function guardWebSocket(): void {
  const name = "WebSocket";
  const descriptor = Object.getOwnPropertyDescriptor(http, name);
  if (descriptor?.configurable !== true) return;
  const holder: { [name]?: unknown } = {};
  const guarded = {
    configurable: true,
    get: (): unknown => {
      if (!(name in holder)) {
        holder[name] = descriptor.get?.call(http) ?? descriptor.value;
        refuseInRuns({ owner: holder, ownerName: "", names: [name] });
      }
      return holder[name];
    },
    set: (value: unknown): void => {
      holder[name] = value;
    },
  };
  for (const owner of [http, globalThis])
    Object.defineProperty(owner, name, { ...guarded, enumerable: owner === http });
}

/** The functions that do something; classes and internals begin with a capital or an underscore. */
function functionNames(owner: object): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(owner))
    .filter(([name, { value }]) => typeof value === "function" && !/^[A-Z_]/.test(name))
    .map(([name]) => name);
}
