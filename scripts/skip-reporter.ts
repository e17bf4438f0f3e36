/**
 * Vitest reporter that lets no test be left out where all are required (`E2E=required`): a skipped test is a failure there,
 * whoever skipped it, but for the files below.
 *
 * A run that a test name pattern narrows leaves out the others on purpose: it is not judged.
 */
import type { Reporter, TestModule, Vitest } from "vitest/node";

/** Files whose tests may be skipped, each with the reason. */
const MAY_SKIP: ReadonlyMap<string, string> = new Map([
  ["sdk/test/bad-input.test.ts", "one test needs PgBouncer, which CI does not install"],
  ["kubectl-memflow/src/dev/postgres/binaries.test.ts", "one test needs root"],
]);

/** The reporter; named in vitest.config.ts, started by vitest alone. */
// oxlint-disable-next-line import/no-default-export -- vitest loads a reporter file by its default export
export default class SkipReporter implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    if (process.env["E2E"] !== "required" || this.#vitest?.config.testNamePattern !== undefined) return;
    const left = modules.filter(({ relativeModuleId }) => !MAY_SKIP.has(relativeModuleId)).flatMap(skipsOf);
    for (const name of left) console.error(`skipped where every test is required (E2E=required): ${name}`);
    if (left.length > 0) process.exitCode = 1;
  }
}

function skipsOf(module: TestModule): readonly string[] {
  return [...module.children.allTests()]
    .filter((test) => test.result().state === "skipped")
    .map((test) => `${module.relativeModuleId} > ${test.fullName}`);
}
