/**
 * `npm run bench`: measures MemFlow beside the raw group-commit loop, and beside DBOS where it is installed, on one
 * Postgres, and prints the figures with their targets. A missed target is said, never an error.
 */
import { writeFile } from "node:fs/promises";
import { readArguments } from "./arguments.ts";
import { FULL, QUICK } from "./bench.ts";
import type { Bench } from "./bench.ts";
import { describeMachine } from "./machine.ts";
import { formatTable } from "./report.ts";
import type { Figure, Report } from "./report.ts";
import { openServer } from "./server.ts";
import type { BenchServer } from "./server.ts";
import { median } from "./statistics.ts";
import { WORKLOADS } from "./workloads.ts";

const DBOS = "@dbos-inc/dbos-sdk";
const EXIT_INTERRUPTED = 130;

const args = readArguments(
  process.argv.slice(2),
  WORKLOADS.map(({ name }) => name),
);
const machine = describeMachine();
const opening = openServer();
let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    interrupted = true;
    void opening.then((server) => server.close()).finally(() => process.exit(EXIT_INTERRUPTED));
  });
}
const server = await opening;
try {
  await run(server);
} catch (error) {
  // Our processes got the signal too: that they ended is no news.
  if (!interrupted) throw error;
} finally {
  await server.close();
}

async function run(server: BenchServer): Promise<void> {
  const notes: string[] = [];
  const figures: Figure[] = [];
  const noise = new Map<string, number[]>();
  const report: Report = {
    add: (figure) => void figures.push(figure),
    note: (line) => void notes.push(line),
    noise: (workload, share) => {
      if (share !== undefined) noise.set(workload, [...(noise.get(workload) ?? []), share]);
    },
  };
  const bench: Bench = { server, effort: args.quick ? QUICK : FULL, report, dbos: findDbos(report) };
  const chosen = WORKLOADS.filter(
    ({ name }) => args.only.length === 0 || args.only.some((only) => name.startsWith(only)),
  );
  for (const { name, measure } of chosen) {
    console.error(`measuring ${name} ...`);
    await server.checkpoint();
    await measure(bench);
  }
  if (noise.size > 0) report.note(describeNoise(noise));
  print(figures, notes, server);
  if (args.jsonFile === undefined) return;
  const facts = {
    machine,
    postgres: server.settings,
    effort: bench.effort,
    figures,
    notes,
    othersShare: Object.fromEntries(noise),
  };
  await writeFile(args.jsonFile, `${JSON.stringify(facts, undefined, 2)}\n`);
}

function print(figures: readonly Figure[], notes: readonly string[], server: BenchServer): void {
  const facts = (values: Readonly<Record<string, string>>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ");
  console.log(`\nMachine: ${facts(machine)}`);
  console.log(`Postgres: ${facts(server.settings)}\n`);
  console.log(formatTable(figures));
  if (notes.length > 0) console.log(`\n${notes.join("\n")}`);
}

/** What else the machine did: with much of it, rates fall and ratios shift towards the subject that sleeps more. */
function describeNoise(noise: ReadonlyMap<string, readonly number[]>): string {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const workloads = [...noise].map(([workload, shares]) => `${workload} ${percent(median(shares))}`);
  return `Share of the machine that others used meanwhile: ${workloads.join(", ")}.`;
}

/** DBOS is optional: without it a line below the table says so. */
function findDbos(report: Report): boolean {
  try {
    import.meta.resolve(DBOS);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    report.note(
      `DBOS was not measured: package "${DBOS}" is not installed; "npm --prefix bench ci" brings it.`,
    );
    return false;
  }
}
