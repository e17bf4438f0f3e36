/**
 * `report`: what support needs to see, in one document.
 *
 * Promises that it holds no secret, and nothing that runs were given, made or said: of objects only what `redaction.ts` lets
 * through, of runs their exports without values, of environments names alone. What may not be read is named with its reason.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { CommandSession } from "../cli/command-session.ts";
import { VERSION } from "../cli/package-version.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { redact } from "./redaction.ts";
import { findRun } from "./run-reference.ts";

/** The command line. */
export interface ReportOptions {
  readonly file?: string;
  readonly run?: string;
}

const RUNS_MAX = 50;

/** Gathers it. */
export async function report(session: CommandSession, options: ReportOptions): Promise<number> {
  const connection = await session.connect();
  const { client, namespace, store, cluster, description } = connection;
  const place = { path: { namespace }, query: { store } };
  const parts: Record<string, unknown> = {
    format: "memflow-report/1",
    madeAt: new Date().toISOString(),
    client: { version: VERSION, node: process.version, platform: `${process.platform}-${process.arch}` },
    gateway: { description, namespace, store },
    document: await part(async () => {
      const { readDocumentVersion } = await import("../connect/document-version.ts");
      return readDocumentVersion(connection);
    }),
    caller: await part(async () => (await client.call("whoami", {})).body),
    queues: await part(async () => (await client.call("listQueues", place)).body.queues),
    workflows: await part(async () =>
      (await client.call("listWorkflows", place)).body.workflows.map(withoutArguments),
    ),
    schedules: await part(async () => (await client.call("listSchedules", place)).body.schedules),
    openRuns: await part(async () => countOf(connection, "running")),
    failedRuns: await part(async () => countOf(connection, "failed")),
    latestRuns: await part(async () => {
      const { body } = await client.call("listRuns", { ...place, query: { store, pageSize: RUNS_MAX } });
      return body.runs;
    }),
  };
  if (options.run !== undefined) {
    const reference = options.run;
    parts["run"] = await part(async () => {
      const { runId } = await findRun(connection, reference);
      const query = { store, values: "false" as const };
      return (await client.call("exportRun", { path: { namespace, runId }, query })).body;
    });
  }
  if (cluster !== undefined) {
    const { readClusterFacts } = await import("../connect/cluster-facts.ts");
    for (const [name, read] of Object.entries(readClusterFacts(cluster, namespace)))
      parts[name] = await part(read);
  }
  await write(session, options.file, redact(parts));
  return EXIT_CODES.done;
}

/** A part that can't be had must not cost the others. */
async function part(read: () => Promise<unknown>): Promise<unknown> {
  try {
    return await read();
  } catch (error) {
    return { unavailable: error instanceof Error ? error.message : String(error) };
  }
}

async function countOf(
  { client, namespace, store }: Awaited<ReturnType<CommandSession["connect"]>>,
  status: "running" | "failed",
): Promise<number> {
  return (await client.call("countRuns", { path: { namespace }, query: { store, status } })).body.count;
}

/** What a start brings when it brings nothing may be somebody's data. */
function withoutArguments(workflow: Readonly<Record<string, unknown>> | object): object {
  const { defaultArgs: _defaultArgs, ...rest } = workflow as Readonly<Record<string, unknown>>;
  return rest;
}

async function write(session: CommandSession, file: string | undefined, document: unknown): Promise<void> {
  if (file === undefined) {
    await session.printer.value(document);
    return;
  }
  const place = path.resolve(session.io.folder, file);
  await writeFile(place, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 });
  session.say(`report in ${place}; read it before you send it`);
}
