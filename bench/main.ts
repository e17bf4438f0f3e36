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

const args = readArguments(
  process.argv.slice(2),
  WORKLOADS.map(({ name }) => name),
);
const machine = describeMachine();
const server = await openServer();
try {
  await run(server);
} finally {
  await server.close();
}

async function run(server: BenchServer): Promise<void> {
  const notes: string[] = [];
  const figures: Figure[] = [];
  const noise: number[] = [];
  const report: Report = {
    add: (figure) => void figures.push(figure),
    note: (line) => void notes.push(line),
    noise: (share) => void (share !== undefined && noise.push(share)),
  };
  const bench: Bench = { server, effort: args.quick ? QUICK : FULL, report, dbos: findDbos(report) };
  const chosen = WORKLOADS.filter(
    ({ name }) => args.only.length === 0 || args.only.some((only) => name.startsWith(only)),
  );
  for (const { name, measure } of chosen) {
    console.error(`measuring ${name} ...`);
    await server.query("checkpoint");
    await measure(bench);
  }
  if (noise.length > 0) {
    const [middle, most] = [median(noise), Math.max(...noise)].map((share) => `${Math.round(share * 100)} %`);
    report.note(
      `Others kept ${middle} of the machine busy meanwhile (median; at most ${most}). Trust ratios, not rates.`,
    );
  }
  print(figures, notes, server);
  if (args.jsonFile === undefined) return;
  const facts = {
    machine,
    postgres: server.settings,
    effort: bench.effort,
    figures,
    notes,
    othersShare: noise,
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

/** DBOS is optional: without it the table has a line that says so. */
function findDbos(report: Report): boolean {
  try {
    import.meta.resolve("@dbos-inc/dbos-sdk");
    return true;
  } catch (error) {
    report.note(
      `DBOS was not measured: ${(error as Error).message.split("\n")[0]}; "npm --prefix bench ci" installs it.`,
    );
    return false;
  }
}
