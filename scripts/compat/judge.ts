/**
 * Judges the rows of the compatibility table by what became of the tests of one run.
 *
 * Pure: takes rows and outcomes, gives the faults as lines to print.
 */
import type { CompatRow } from "./table.ts";

/** What became of the tests of one name: of several with the same name, the worst. */
export type Outcome = "passed" | "skipped" | "failed";

const SEVERITY: Readonly<Record<Outcome, number>> = { passed: 0, skipped: 1, failed: 2 };

/** One test of a run. */
export interface TestOutcome {
  /** `file > full title`. */
  readonly name: string;
  readonly outcome: Outcome;
}

/** What is not as the table says, a line for each; empty when every row holds. */
export function judgeRows(rows: readonly CompatRow[], tests: readonly TestOutcome[]): readonly string[] {
  const worst = new Map<string, Outcome>();
  for (const { name, outcome } of tests) {
    const before = worst.get(name) ?? "passed";
    worst.set(name, SEVERITY[outcome] > SEVERITY[before] ? outcome : before);
  }
  if (rows.length === 0) return ["the table has no rows"];
  return rows.flatMap(({ id, line, tests: named, faults }) => {
    const unproven = named.flatMap((name) => {
      const outcome = worst.get(name);
      if (outcome === "passed") return [];
      return [`names a test that ${outcome === undefined ? "did not run" : saidOf(outcome)}: ${name}`];
    });
    return [...faults, ...unproven].map((fault) => `line ${line}, row "${id}": ${fault}`);
  });
}

function saidOf(outcome: Exclude<Outcome, "passed">): string {
  return outcome === "failed" ? "failed" : "was skipped";
}
