import { expect, test } from "vitest";
import { formatPlainCount } from "./plain-count-reporter.ts";

test("the plain line ends the text and every skip is named above it", () => {
  const text = formatPlainCount({ passed: 2, failed: 1, skips: ["a.test.ts > b: no PgBouncer here"] });
  expect(text).toBe("skipped: a.test.ts > b: no PgBouncer here\n2 passed, 1 failed, 1 skipped\n");
});
