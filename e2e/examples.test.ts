/** The examples' manifests are what a cluster takes, and the code that stands in them runs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { findInputFaults, parseManifests, workflowNameOf } from "@memflow/crds";
import type { Manifests } from "@memflow/crds";
import { migrate, resolveConnection } from "@memflow/engine";
import { testDatabaseUrl, uniqueName } from "@memflow/engine/testing";
import { Client, MemFlow } from "@memflow/sdk";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const EXAMPLES = [
  ...new Set(globSync("examples/**/*.yaml", { cwd: ROOT }).map((file) => path.dirname(file))),
].toSorted();

function readExample(folder: string): Manifests {
  const files = globSync("*.yaml", { cwd: path.join(ROOT, folder) }).toSorted();
  return parseManifests(
    files.map((file) => ({ path: file, text: readFileSync(path.join(ROOT, folder, file), "utf8") })),
  );
}

test("there are manifests to try with and without an image", () => {
  expect(EXAMPLES).toEqual(expect.arrayContaining(["examples/quickstart", "examples/research-agent"]));
});

test.each(EXAMPLES)(
  "a cluster accepts %s, each file saying what it shows, needs, and how to apply it",
  (folder) => {
    expect(readExample(folder).workflows.length).toBeGreaterThan(0);
    for (const file of globSync("*.yaml", { cwd: path.join(ROOT, folder) })) {
      const text = readFileSync(path.join(ROOT, folder, file), "utf8");
      expect(text).toMatch(/^# Shows: .*^# Needs: .*^# Apply: .*^# Watch: /msu);
    }
  },
);

test("what the quickstart's Schedule starts runs to its end on the code that stands in its Workflow", async () => {
  const { workflows, schedules, stores } = readExample("examples/quickstart");
  const [{ resource: workflow }, { resource: schedule }] = [only(workflows), only(schedules)];
  const args = schedule.spec.args ?? [];
  expect(findInputFaults(workflow, args[0])).toEqual([]);

  const schema = `${only(stores).resource.spec.schema}_${uniqueName()}`;
  const module = await writeCode(workflow.spec.code?.files ?? {}, workflow.spec.code?.entrypoint ?? "");
  await provision(schema);
  await startWorker({
    MEMFLOW_DATABASE_URL: testDatabaseUrl(),
    MEMFLOW_NAMESPACE: schema,
    MEMFLOW_TASK_QUEUE: "quickstart",
    MEMFLOW_MODULE: module,
    MEMFLOW_HOST: "127.0.0.1",
    MEMFLOW_PORT: "0",
  });
  const client = new Client({ connection: { connectionString: testDatabaseUrl() }, namespace: schema });
  const handle = await client.workflow.start({
    args: [...args],
    taskQueue: "quickstart",
    workflowName: workflowNameOf(workflow),
    workflowId: "coffee",
  });
  expect(await handle.result()).toBe("whoever is first: a cup of 20 g of house blend");
});

/** A worker as its image runs it: the code lies where no package can be found. */
async function startWorker(environment: Readonly<Record<string, string>>): Promise<void> {
  const main = fileURLToPath(import.meta.resolve("@memflow/worker-runtime/main"));
  const worker = spawn(process.execPath, [main], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(worker, "close");
  onTestFinished(async () => {
    worker.kill("SIGTERM");
    await closed;
  });
  for await (const line of createInterface({ input: worker.stdout })) {
    if (line.includes('"event":"ready"')) return;
  }
  throw new Error(`the worker ended with code ${worker.exitCode} before it was ready`);
}

function only<Item>(items: readonly Item[]): Item {
  const [item] = items;
  if (item === undefined || items.length > 1) throw new Error(`expected one item, found ${items.length}`);
  return item;
}

async function provision(schema: string): Promise<void> {
  onTestFinished(async () => {
    await MemFlow.shutdown();
    const postgres = new pg.Client({ connectionString: testDatabaseUrl() });
    await postgres.connect();
    await postgres.query(`drop schema if exists ${schema} cascade`);
    await postgres.end();
  });
  await migrate({ source: resolveConnection(testDatabaseUrl()), schema });
}

/** As the worker finds the files of a ConfigMap: in a folder by themselves. */
async function writeCode(files: Readonly<Record<string, string>>, entrypoint: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "memflow-inline-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  return path.join(folder, entrypoint);
}
