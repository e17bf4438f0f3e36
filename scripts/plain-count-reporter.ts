/**
 * Vitest reporter that closes a run with one plain line: `12 passed, 0 failed, 1 skipped`.
 *
 * The line is the last thing that the process writes, so that scripts can read it. Skipped tests are listed above it
 * with their reason. A test file that does not load and an error outside every test count as failures too, and so does
 * a run that fails by something else than a test (coverage, another reporter): a run that has tests and fails never
 * shows `0 failed`.
 */
import { writeSync } from "node:fs";
import type { Reporter, SerializedError, TestCase, TestModule } from "vitest/node";

const STDOUT = 1;

/** What a run comes to; `skips` holds a line per skipped test: its name and its reason. */
interface PlainCount {
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly string[];
}

/** The reporter; named in vitest.config.ts, started by vitest alone. */
// oxlint-disable-next-line import/no-default-export -- vitest loads a reporter file by its default export
export default class PlainCountReporter implements Reporter {
  #count: PlainCount | undefined;

  onInit(): void {
    process.once("exit", (code) => {
      if (this.#count === undefined) return;
      const { passed, failed, skips } = this.#count;
      const elsewhere = code !== 0 && failed === 0 && passed + skips.length > 0;
      writeSync(STDOUT, formatPlainCount({ passed, failed: elsewhere ? 1 : failed, skips }));
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    this.#count = countTests(modules, unhandledErrors.length);
  }
}

function countTests(modules: readonly TestModule[], unhandledErrorCount: number): PlainCount {
  let passed = 0;
  let failed = unhandledErrorCount;
  const skips: string[] = [];
  for (const module of modules) {
    failed += module.errors().length;
    for (const suite of module.children.allSuites()) failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === "passed") passed += 1;
      else if (result.state === "skipped") skips.push(describeSkip(module, test, result.note));
      else failed += 1;
    }
  }
  return { passed, failed, skips };
}

function describeSkip(module: TestModule, test: TestCase, note: string | undefined): string {
  return `${module.relativeModuleId} > ${test.fullName}: ${note ?? "no reason given"}`;
}

/** The listing of the skipped tests, if any, and the plain line, which ends the text. */
function formatPlainCount(count: PlainCount): string {
  const skips = count.skips.map((skip) => `skipped: ${skip}\n`).join("");
  return `${skips}${count.passed} passed, ${count.failed} failed, ${count.skips.length} skipped\n`;
}
