/**
 * One subject under measurement: its fresh database, its client process and its worker process.
 */
import { migrate, resolveConnection } from "@memflow/engine";
import { BenchProcess } from "./bench-process.ts";
import type { BenchDatabase, BenchServer } from "./server.ts";
import type { SubjectName } from "./subject.ts";

/** @see openPair */
export interface Pair {
  readonly subject: SubjectName;
  readonly database: BenchDatabase;
  readonly client: BenchProcess;
  /** DBOS's client executes by itself. */
  readonly worker: BenchProcess;
  readonly processes: readonly BenchProcess[];
}

/** Starts a subject on a database of its own. */
export async function openPair(server: BenchServer, subject: SubjectName): Promise<Pair> {
  const database = await server.createDatabase();
  const { url } = database;
  try {
    if (subject === "raw") await migrate({ source: resolveConnection(url), schema: "memflow" });
    const client = await BenchProcess.start({ subject, role: "client", url });
    if (subject === "dbos") return { subject, database, client, worker: client, processes: [client] };
    const worker = await BenchProcess.start({ subject, role: "worker", url });
    return { subject, database, client, worker, processes: [client, worker] };
  } catch (error) {
    await database.drop();
    throw error;
  }
}

/** Runs `work` with the subjects and ends them, whatever happens. */
export async function withPairs<Result>(
  server: BenchServer,
  subjects: readonly SubjectName[],
  work: (pairs: readonly Pair[]) => Promise<Result>,
): Promise<Result> {
  const pairs: Pair[] = [];
  try {
    for (const subject of subjects) pairs.push(await openPair(server, subject));
    const result = await work(pairs);
    for (const { processes } of pairs) for (const process of processes) await process.close();
    return result;
  } finally {
    for (const { processes, database } of pairs) {
      for (const process of processes) process.kill();
      await database.drop();
    }
  }
}
