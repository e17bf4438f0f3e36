/**
 * Starts a second through a gateway, beside those of the engine's own client, in the same run.
 */
import { BenchProcess } from "../bench-process.ts";
import type { Bench } from "../bench.ts";
import type { LoadResult } from "../process-calls.ts";
import type { BenchDatabase } from "../server.ts";
import { median } from "../statistics.ts";
import type { StarterName } from "../subject.ts";

const OUTSTANDING = 200;
const STARTERS: readonly StarterName[] = ["starts", "http-starts"];
const JOB = { workflow: "noOp", count: 0 } as const;

interface Starter {
  readonly subject: StarterName;
  readonly database: BenchDatabase;
  readonly client: BenchProcess;
}

export async function measureHttpStarts(bench: Bench): Promise<void> {
  const results: Record<StarterName, LoadResult[]> = { starts: [], "http-starts": [] };
  const starters: Starter[] = [];
  try {
    for (const subject of STARTERS) starters.push(await openStarter(bench, subject));
    for (let repetition = 0; repetition <= bench.effort.repetitions; repetition += 1) {
      for (const { subject, client } of starters) {
        const { warmUpMs, windowMs } = bench.effort;
        const result = await client.call("load", { job: JOB, outstanding: OUTSTANDING, warmUpMs, windowMs });
        // The first of each is for the compilers and caches.
        if (repetition > 0) results[subject].push(result);
      }
    }
    for (const { client } of starters) await client.close();
  } finally {
    for (const { client, database } of starters) {
      client.kill();
      await database.drop();
    }
  }
  report(bench, results);
}

/** Each on a database of its own: rows of others are in nobody's way. */
async function openStarter(bench: Bench, subject: StarterName): Promise<Starter> {
  const database = await bench.server.createDatabase();
  try {
    const client = await BenchProcess.start({ subject, role: "client", url: database.url });
    return { subject, database, client };
  } catch (error) {
    await database.drop();
    throw error;
  }
}

function report(bench: Bench, results: Readonly<Record<StarterName, readonly LoadResult[]>>): void {
  const rates = (subject: StarterName): number[] =>
    results[subject].map(({ runs, elapsedMs }) => (runs * 1_000) / elapsedMs);
  const own = rates("starts");
  const http = rates("http-starts");
  const add = (figure: string, unit: string, samples: readonly number[]): void =>
    bench.report.add({
      workload: "http-starts",
      figure,
      unit,
      engine: median(samples),
      samples: { engine: samples },
    });
  add("starts by the client", "1/s", own);
  add("starts by HTTP", "1/s", http);
  add(
    "HTTP/client",
    "1",
    http.map((rate, index) => rate / (own[index] ?? Number.NaN)),
  );
  add(
    "HTTP latency p50",
    "ms",
    results["http-starts"].map(({ p50Ms }) => p50Ms),
  );
}
