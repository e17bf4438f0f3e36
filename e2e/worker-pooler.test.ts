/**
 * A worker behind a real PgBouncer in transaction mode, as the Secret of a Store with `directConnection` says it: statements go
 * through the pooler, LISTEN around it.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "@memflow/engine/provision";
import {
  findPgBouncer,
  Session,
  startPgBouncer,
  testDatabaseUrl,
  testDatabaseUrlWith,
  testSource,
  uniqueName,
} from "@memflow/engine/testing";
import { Client } from "@memflow/sdk";
import { readSettings, runWorker } from "@memflow/worker-runtime";
import { expect, onTestFinished, test } from "vitest";

const pgBouncer = findPgBouncer();
const DIRECT_ROLE = uniqueName("direct");

test.skipIf(pgBouncer === undefined)(
  "a worker with 4 connections does all its work behind PgBouncer in transaction mode, and listens around it",
  async () => {
    const admin = new Session({ source: testSource(), purpose: "test" });
    const schema = uniqueName("pooled");
    const folder = await mkdtemp(join(tmpdir(), "memflow-pooled-"));
    const pooler = await startPgBouncer(pgBouncer ?? "", testDatabaseUrl(), "transaction");
    onTestFinished(async () => {
      await pooler.stop();
      await admin.query({ text: `drop schema ${schema} cascade` });
      await admin.query({ text: `drop role ${DIRECT_ROLE}` });
      await admin.close();
      await rm(folder, { recursive: true });
    });
    await migrate({ source: testSource(), schema });
    await admin.query({ text: `create role ${DIRECT_ROLE} login superuser password 'secret'` });
    await writeFile(join(folder, "workflows.mjs"), "export async function add(a, b) { return a + b; }\n");
    const settings = readSettings({
      MEMFLOW_DATABASE_URL: testDatabaseUrlWith({ host: `127.0.0.1:${pooler.port}` }),
      MEMFLOW_DIRECT_DATABASE_URL: testDatabaseUrlWith({ username: DIRECT_ROLE, password: "secret" }),
      MEMFLOW_MAX_CONNECTIONS: "4",
      MEMFLOW_NAMESPACE: schema,
      MEMFLOW_TASK_QUEUE: "sums",
      MEMFLOW_MODULE: folder,
      MEMFLOW_HOST: "127.0.0.1",
      MEMFLOW_PORT: "0",
    });
    const worker = await runWorker(settings, {
      log: () => undefined,
      onFatal: (error) => expect.fail(String(error)),
    });
    onTestFinished(() => worker.stop());

    const client = new Client({ connection: testDatabaseUrl(), namespace: schema });
    const results = [1, 2, 3].map((number) =>
      client.workflow.execute({ taskQueue: "sums", workflowName: "add", args: [number, 10] }),
    );
    expect(await Promise.all(results)).toEqual([11, 12, 13]);

    const { rows } = await admin.query<{ purpose: string }>({
      text: "select application_name as purpose from pg_stat_activity where usename = $1",
      values: [DIRECT_ROLE],
    });
    expect(rows).toEqual([{ purpose: "memflow:listen" }]);
  },
);
