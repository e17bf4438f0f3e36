/** The worker as a process: ready, healthy, stopped by a signal, refused with the name of what is wrong. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream";
import { fileURLToPath } from "node:url";
import { Client, MemFlow } from "@memflow/sdk";
import pg from "pg";
import { afterAll, afterEach, beforeEach, expect, onTestFinished, test } from "vitest";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const SDK = import.meta.resolve("@memflow/sdk");
const DATABASE_URL = process.env["MEMFLOW_TEST_DATABASE_URL"] ?? "";

/** `patient` says when its activity has begun; the activity ends when the file is there. */
const CODE = `
import { access } from "node:fs/promises";
import { MemFlow } from ${JSON.stringify(SDK)};

async function waitForFile(file: string): Promise<string> {
  console.log("the activity has begun");
  for (;;) {
    try {
      await access(file);
      return "found";
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const activities = MemFlow.workflow.proxyActivities<{ waitForFile: typeof waitForFile }>({ activities: { waitForFile } });

export async function hello(name: string): Promise<string> {
  return "hello " + name;
}

export async function patient(file: string): Promise<string> {
  return await activities.waitForFile(file);
}
`;

let folder = "";
let schema = "";
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "memflow-worker-"));
  schema = `worker_${randomUUID().replaceAll("-", "")}`;
  await writeFile(path.join(folder, "workflows.ts"), CODE);
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
  const client = new pg.Client({ connectionString: DATABASE_URL });
  await client.connect();
  await client.query(`drop schema if exists ${schema} cascade`);
  await client.end();
});

afterAll(() => MemFlow.shutdown());

/** A port where nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A worker process and what it prints. */
class WorkerUnderTest {
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #waiters = new Set<() => void>();
  readonly #closed: Promise<unknown>;

  constructor(environment: Readonly<Record<string, string>>) {
    const settings = {
      MEMFLOW_DATABASE_URL: DATABASE_URL,
      MEMFLOW_NAMESPACE: schema,
      MEMFLOW_TASK_QUEUE: "greetings",
      MEMFLOW_MODULE: folder,
      MEMFLOW_HOST: "127.0.0.1",
      MEMFLOW_PORT: "0",
    };
    this.child = spawn(process.execPath, ["-C", "source", MAIN], {
      env: { ...process.env, ...settings, ...environment },
    });
    children.push(this.child);
    this.#closed = once(this.child, "close").then(() => this.#wake());
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        this.#lines.push(line);
        this.#wake();
      });
    }
  }

  get output(): string {
    return this.#lines.join("\n");
  }

  /** The first line that holds the text. */
  async line(text: string): Promise<string> {
    for (;;) {
      const found = this.#lines.find((line) => line.includes(text));
      if (found !== undefined) return found;
      if (this.child.exitCode !== null)
        throw new Error(`the worker ended before it printed "${text}":\n${this.output}`);
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  async ready(): Promise<{ port: number; workflows: string[]; taskQueue: string }> {
    return JSON.parse(await this.line('"event":"ready"')) as {
      port: number;
      workflows: string[];
      taskQueue: string;
    };
  }

  async end(): Promise<number | null> {
    await this.#closed;
    return this.child.exitCode;
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

test("a worker says once that it is ready, is healthy, counts itself, and runs its workflows", async () => {
  const worker = new WorkerUnderTest({});
  const ready = await worker.ready();
  expect(ready).toMatchObject({ taskQueue: "greetings", workflows: ["hello", "patient"] });
  const url = `http://127.0.0.1:${ready.port}`;
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(
    /memflow_worker_claiming\{.*task_queue="greetings".*\} 1/u,
  );
  const client = new Client({ connection: DATABASE_URL, namespace: schema });
  const result = await client.workflow.execute({
    taskQueue: "greetings",
    workflowName: "hello",
    args: ["you"],
  });
  expect(result).toBe("hello you");
});

test("SIGTERM lets a running activity finish within the grace period, then the worker ends with 0", async () => {
  const worker = new WorkerUnderTest({ MEMFLOW_GRACE_MS: "20000" });
  await worker.ready();
  const client = new Client({ connection: DATABASE_URL, namespace: schema });
  const file = path.join(folder, "go");
  const handle = await client.workflow.start({
    taskQueue: "greetings",
    workflowName: "patient",
    args: [file],
  });
  await worker.line("the activity has begun");
  worker.child.kill("SIGTERM");
  await writeFile(file, "");
  expect(await worker.end()).toBe(0);
  const next = new WorkerUnderTest({});
  await next.ready();
  expect(await handle.result()).toBe("found");
  expect(next.output).not.toContain("the activity has begun");
});

test("an activity that outlives the grace period is released, and another worker finishes the run", async () => {
  const worker = new WorkerUnderTest({ MEMFLOW_GRACE_MS: "0" });
  await worker.ready();
  const client = new Client({ connection: DATABASE_URL, namespace: schema });
  const file = path.join(folder, "go");
  const handle = await client.workflow.start({
    taskQueue: "greetings",
    workflowName: "patient",
    args: [file],
  });
  await worker.line("the activity has begun");
  worker.child.kill("SIGTERM");
  expect(await worker.end()).toBe(0);
  const next = new WorkerUnderTest({});
  await next.line("the activity has begun");
  await writeFile(file, "");
  expect(await handle.result()).toBe("found");
});

test("what is missing or wrong in the environment is named, with exit code 2", async () => {
  const worker = new WorkerUnderTest({ MEMFLOW_TASK_QUEUE: "", MEMFLOW_PORT: "eighty" });
  expect(await worker.end()).toBe(2);
  expect(worker.output).toContain("MEMFLOW_TASK_QUEUE is missing");
  expect(worker.output).toContain('MEMFLOW_PORT is "eighty"');
});

test("code that can't be loaded is named, with exit code 2", async () => {
  const worker = new WorkerUnderTest({ MEMFLOW_MODULE: path.join(folder, "nowhere") });
  expect(await worker.end()).toBe(2);
  expect(worker.output).toContain("nowhere");
});

test("a worker whose database is away is healthy, not ready, says why without its password, and serves once it is back", async () => {
  const [databasePort, healthPort] = [await freePort(), await freePort()];
  const url = Object.assign(new URL(DATABASE_URL), { hostname: "127.0.0.1", port: String(databasePort) });
  const worker = new WorkerUnderTest({
    MEMFLOW_DATABASE_URL: url.href,
    MEMFLOW_PORT: String(healthPort),
  });
  await worker.line("the worker waits for it");
  const ask = (what: string): Promise<Response> => fetch(`http://127.0.0.1:${healthPort}/${what}`);
  expect((await ask("healthz")).status).toBe(200);
  const readiness = await ask("readyz");
  expect(readiness.status).toBe(503);
  expect(await readiness.text()).toContain(`127.0.0.1:${databasePort}`);
  expect((await ask("metrics")).status).toBe(200);

  const { hostname, port } = new URL(DATABASE_URL);
  const way = createServer((client) => {
    const server = connect(Number(port), hostname);
    // Either end may go first, and with an error: the other one follows.
    pipeline(client, server, client, () => undefined);
  });
  way.listen(databasePort, "127.0.0.1");
  onTestFinished(() => void way.close());
  expect((await worker.ready()).port).toBe(healthPort);
  expect(url.password).not.toBe("");
  expect(worker.output).not.toContain(url.password);
});

test("a database that refuses the role ends the worker with exit code 1", async () => {
  const url = Object.assign(new URL(DATABASE_URL), { username: "nobody_of_that_name", password: "secret" });
  const worker = new WorkerUnderTest({ MEMFLOW_DATABASE_URL: url.href });
  expect(await worker.end()).toBe(1);
  expect(worker.output).not.toContain("secret");
});

test("code at any path imports the worker's own SDK, whatever copy lies beside it", async () => {
  const stranger = path.join(folder, "node_modules", "@memflow", "sdk");
  await mkdir(stranger, { recursive: true });
  await writeFile(
    path.join(stranger, "package.json"),
    '{ "name": "@memflow/sdk", "type": "module", "exports": "./index.js" }',
  );
  await writeFile(path.join(stranger, "index.js"), 'throw new Error("a second SDK was loaded");');
  await writeFile(path.join(folder, "workflows.ts"), CODE.replace(JSON.stringify(SDK), '"@memflow/sdk"'));
  const worker = new WorkerUnderTest({});
  expect((await worker.ready()).workflows).toEqual(["hello", "patient"]);
});

test("a worker that is asked to stop while it starts ends at once, in order", async () => {
  await writeFile(
    path.join(folder, "workflows.ts"),
    'console.log("loading"); await new Promise((resolve) => setInterval(resolve, 2 ** 30));',
  );
  const worker = new WorkerUnderTest({});
  await worker.line("loading");
  worker.child.kill("SIGTERM");
  expect(await worker.end()).toBe(0);
});

test("a mounted ConfigMap is served: its files are links into a folder that changes its name", async () => {
  const mount = path.join(folder, "mount");
  await mkdir(path.join(mount, "..2026_11_23"), { recursive: true });
  const files = {
    "index.ts": `import { greet } from "./greet.ts"; import { MemFlow } from "@memflow/sdk";
      export async function hello(name: string): Promise<string> {
        const { greet: greetLater } = MemFlow.workflow.proxyActivities<{ greet: typeof greet }>({ activities: { greet } });
        return await greetLater(name);
      }`,
    "greet.ts": `export async function greet(name: string): Promise<string> { return "hello " + name; }`,
  };
  await symlink("..2026_11_23", path.join(mount, "..data"));
  for (const [name, text] of Object.entries(files)) {
    await writeFile(path.join(mount, "..2026_11_23", name), text);
    await symlink(path.join("..data", name), path.join(mount, name));
  }
  const worker = new WorkerUnderTest({ MEMFLOW_MODULE: path.join(mount, "index.ts") });
  expect((await worker.ready()).workflows).toEqual(["hello"]);
  const client = new Client({ connection: DATABASE_URL, namespace: schema });
  const result = await client.workflow.execute({
    args: ["world"],
    taskQueue: "greetings",
    workflowName: "hello",
  });
  expect(result).toBe("hello world");
});
