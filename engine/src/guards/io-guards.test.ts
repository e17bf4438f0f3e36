import childProcess, { exec, execFileSync, spawn } from "node:child_process";
import dgram from "node:dgram";
import dns, { lookup } from "node:dns";
import { once } from "node:events";
import fs, { createReadStream, readFileSync } from "node:fs";
import { readFile, rm, mkdtemp } from "node:fs/promises";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import {
  BroadcastChannel as ImportedChannel,
  MessageChannel as ImportedMessages,
  Worker,
} from "node:worker_threads";
import { expect, test } from "vitest";
import { enterActivity, GuardedRun, RefusedCall } from "../testing/guarded-run.ts";

const FIXTURE_URL = new URL("../testing/guarded-run.ts", import.meta.url).href;

/** Every way out of the process, by the name that its refusal bears. */
const WAYS_OUT: Readonly<Record<string, () => unknown>> = {
  fetch: () => fetch("http://127.0.0.1:1/"),
  WebSocket: () => new WebSocket("ws://127.0.0.1:1/"),
  "node:fs.readFileSync": () => readFileSync(import.meta.filename),
  "node:fs.existsSync": () => fs.existsSync("."),
  "node:fs.createReadStream": () => createReadStream("."),
  "node:fs.writeFile": () => fs.writeFile("x", "", () => undefined),
  "node:fs.realpathSync.native": () => fs.realpathSync.native("."),
  "node:fs.exists": () => promisify(fs.exists)("."),
  "node:fs.watch": () => fs.watch("."),
  "node:fs/promises.readFile": () => readFile("."),
  "node:fs/promises.open": () => fs.promises.open("."),
  "node:net.connect": () => net.connect(1),
  "node:net.createServer": () => net.createServer(),
  "node:tls.connect": () => tls.connect(1),
  "node:http.request": () => http.request("http://127.0.0.1:1/"),
  "node:http.get": () => http.get("http://127.0.0.1:1/"),
  "node:https.get": () => https.get("https://127.0.0.1:1/"),
  "node:http2.connect": () => http2.connect("http://127.0.0.1:1/"),
  "node:dgram.createSocket": () => dgram.createSocket("udp4"),
  "node:dns.lookup": () => lookup("localhost", () => undefined),
  "node:dns/promises.resolve4": () => dns.promises.resolve4("localhost"),
  "Resolver.resolve4": () => new dns.Resolver().resolve4("localhost", () => undefined),
  "node:child_process.spawn": () => spawn("true"),
  "node:child_process.execFileSync": () => execFileSync("true"),
  "node:child_process.exec": () => promisify(exec)("true"),
  "node:child_process.fork": () => childProcess.fork("x.js"),
  "node:worker_threads.Worker": () => new Worker("", { eval: true }),
  "node:worker_threads.MessageChannel": () => new MessageChannel(),
  "node:worker_threads.BroadcastChannel": () => new ImportedChannel("x"),
};

test.for(Object.entries(WAYS_OUT))("%s is refused inside a run", ([call, leave]) => {
  const run = new GuardedRun();
  expect(() => run.enter(leave)).toThrow(RefusedCall);
  expect(run.refused).toEqual([call]);
});

test("the same calls work outside runs and in activities", async () => {
  await enterActivity(async () => {
    expect(readFileSync(import.meta.filename, "utf8")).toContain("the same calls work");
    expect(await readFile(import.meta.filename, "utf8")).toContain("the same calls work");
    expect((await promisify(exec)("echo out")).stdout).toBe("out\n");
    expect(await promisify(fs.exists)(".")).toBe(true);
    expect(fs.realpathSync.native(".")).toBe(fs.realpathSync("."));
    expect((await dns.promises.lookup("127.0.0.1")).address).toBe("127.0.0.1");
  });
  const server = http.createServer((_request, response) => response.end("served"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("served");
  const thread = new Worker('require("node:worker_threads").parentPort.postMessage(1)', { eval: true });
  expect(await once(thread, "message")).toEqual([1]);
  const { port1, port2 } = new MessageChannel();
  port1.postMessage("hello");
  expect(await once(port2, "message")).toEqual(["hello"]);
  port1.close();
  server.closeAllConnections();
  server.close();
});

test("a guarded function looks like the one it replaces", () => {
  expect([readFileSync.name, readFileSync.length]).toEqual(["readFileSync", 2]);
  expect([childProcess.exec.name, fs.exists.name, fetch.name]).toEqual(["exec", "exists", "fetch"]);
  expect(globalThis.MessageChannel).toBe(ImportedMessages);
  class Subclass extends Worker {}
  const thread = new Subclass("", { eval: true });
  expect(thread).toBeInstanceOf(Subclass);
  expect(thread).toBeInstanceOf(Worker);
  thread.unref();
});

test("a refusal inside nested calls and after an await is found as well", async () => {
  const run = new GuardedRun();
  const attempt = run.enter(async () => {
    await Promise.resolve();
    return Promise.all([1].map(async (value) => [value, await readFile(".")]));
  });
  await expect(attempt).rejects.toThrow(RefusedCall);
});

test.for(["pipe", "file"])("console and stdout work inside a run when they go to a %s", async (kind) => {
  const folder = await mkdtemp(join(tmpdir(), "memflow-guards-"));
  const script = `
    import fs from "node:fs";
    import { GuardedRun } from ${JSON.stringify(FIXTURE_URL)};
    const run = new GuardedRun();
    run.enter(() => {
      console.log("logged %d", 1);
      console.error("complained");
      console.table([[1]]);
      process.stdout.write("written\\n");
      fs.writeSync(1, "written by fd\\n");
      fs.write(1, "written later by fd\\n", () => undefined);
      fs.writeSync(2, "and stderr\\n");
      try { fs.writeSync(3, "x"); } catch (error) { console.log(error.message); }
    });`;
  const file = join(folder, "out.txt");
  const output = kind === "file" ? fs.openSync(file, "w") : "pipe";
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", output, "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk) => (stdout += String(chunk)));
  child.stderr?.on("data", (chunk) => (stderr += String(chunk)));
  await once(child, "close");
  if (typeof output === "number") {
    fs.closeSync(output);
    stdout = await readFile(file, "utf8");
  }
  await rm(folder, { recursive: true });
  for (const line of [
    "logged 1",
    "(index)",
    "written",
    "written by fd",
    "written later by fd",
    "refused: node:fs.writeSync",
  ]) {
    expect(stdout).toContain(line);
  }
  expect(stderr).toContain("complained\n");
  expect(stderr).toContain("and stderr\n");
});

test("a socket that is connected inside a run fails as sockets fail, so that its owner can clean up", async () => {
  const run = new GuardedRun();
  const socket = new net.Socket();
  expect(run.enter(() => socket.connect(1, "127.0.0.1"))).toBe(socket);
  // Attached after the call, as libraries do.
  const [error] = (await once(socket, "error")) as [unknown];
  expect(error).toBeInstanceOf(RefusedCall);
  expect(error).toMatchObject({ message: expect.stringContaining("Socket.connect") as string });
  expect(socket.destroyed).toBe(true);
});

test("nobody has to listen to a socket that is connected inside a run", async () => {
  const socket = new net.Socket();
  new GuardedRun().enter(() => socket.connect(1, "127.0.0.1"));
  await new Promise<void>((resolve) => socket.on("close", () => resolve()));
  expect(socket.destroyed).toBe(true);
});

test("a module can be imported for the first time inside a run", async () => {
  const folder = await mkdtemp(join(tmpdir(), "memflow-guards-"));
  const path = join(folder, "late.mjs");
  fs.writeFileSync(path, "export const madeAt = Date.now();");
  const script = `
    import { GuardedRun } from ${JSON.stringify(FIXTURE_URL)};
    const run = new GuardedRun();
    const { madeAt } = await run.enter(() => import(${JSON.stringify(pathToFileURL(path).href)}));
    console.log(madeAt === run.timeMs, run.refused.length);`;
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    encoding: "utf8",
  });
  await rm(folder, { recursive: true });
  expect(output).toBe("true 0\n");
});
