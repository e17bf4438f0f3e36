/**
 * Vitest reporter that holds the page on MemFlow's compatibility to its word: every test that a row of it names has run and passed in
 * this very run. Else the run fails, and each row that does not hold is named.
 *
 * Judges whole runs alone. A run that a filter has narrowed (files, test names, a shard, an exclusion) can't know of the
 * tests that it leaves out: it says that it has not checked. That no row is lost is the business of
 * compat-rows.test.ts, which knows their ids.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Reporter, TestModule, TestSpecification, Vitest } from "vitest/node";
import { judgeRows } from "./compat/judge.ts";
import type { Outcome, TestOutcome } from "./compat/judge.ts";
import { readCompatTable } from "./compat/table.ts";

const PAGE = "docs/memflow-compat.md";

/** The reporter; named in vitest.config.ts, started by vitest alone. */
// oxlint-disable-next-line import/no-default-export -- vitest loads a reporter file by its default export
export default class CompatReporter implements Reporter {
  #vitest: Vitest | undefined;
  #fileCount = 0;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.#fileCount = specifications.length;
  }

  async onTestRunEnd(modules: readonly TestModule[]): Promise<void> {
    const vitest = this.#vitest;
    if (vitest === undefined) throw new Error("the reporter was not initialised by vitest");
    const narrowed = await narrowing(vitest, this.#fileCount);
    if (narrowed !== undefined) {
      console.log(`${PAGE} not checked: this run is narrowed by ${narrowed}`);
      return;
    }
    const rows = readCompatTable(readFileSync(join(vitest.config.root, PAGE), "utf8"));
    const faults = judgeRows(rows, modules.flatMap(outcomesOf));
    for (const fault of faults) console.error(`${PAGE}, ${fault}`);
    console.log(`${PAGE} checked: ${rows.length} rows, ${faults.length} faults`);
    if (faults.length > 0) process.exitCode = 1;
  }
}

/** By what this run is less than every test of the workspace; undefined when it is whole. */
async function narrowing(vitest: Vitest, fileCount: number): Promise<string | undefined> {
  const { config } = vitest;
  if (config.testNamePattern !== undefined) return `the test name pattern ${config.testNamePattern}`;
  if (config.tagsFilter !== undefined && config.tagsFilter.length > 0) return "a filter of tags";
  if (config.shard !== undefined) return "a shard";
  if (config.project.length > 0) return `the projects ${config.project.join(", ")}`;
  if (config.cliExclude !== undefined && config.cliExclude.length > 0) return "an exclusion";
  if (config.dir !== undefined && config.dir !== config.root) return `the folder ${config.dir}`;
  const all = await vitest.globTestSpecifications();
  return fileCount < all.length ? `a filter: ${fileCount} of ${all.length} test files` : undefined;
}

function outcomesOf(module: TestModule): readonly TestOutcome[] {
  return [...module.children.allTests()].map((test) => {
    const { state } = test.result();
    const outcome: Outcome = state === "passed" || state === "skipped" ? state : "failed";
    return { name: `${module.relativeModuleId} > ${test.fullName}`, outcome };
  });
}
