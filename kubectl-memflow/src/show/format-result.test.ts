/** A result is written so that a person can read it and look its citations up. */
import { expect, test } from "vitest";
import { formatResult } from "./format-result.ts";

const PLAIN = { columns: 60, name: (text: string) => text, note: (text: string) => text };

test("findings become headlines with their place, and a quote only where it says more", () => {
  const said = "A run survives the death of its worker, always.";
  const result = {
    findings: [
      {
        claim: said,
        stance: "supports",
        score: 2.5,
        citation: { file: "a.md", line: 3, quote: `\`${said}\`` },
      },
      {
        claim: said,
        stance: "doubts",
        score: 1,
        citation: { file: "b.md", line: 7, quote: "It waits, at times." },
      },
    ],
    reason: null,
    question: "why",
  };
  expect(formatResult(result, PLAIN)).toEqual([
    "question: why",
    "findings (2):",
    `  - ${said}`,
    "    stance supports · score 2.5 · a.md:3",
    `  - ${said}`,
    "    stance doubts · score 1 · b.md:7",
    '    "It waits, at times."',
  ]);
});

test("short entries stand on one line, also without a text of their own", () => {
  const result = { coverage: [{ word: "run", count: 2 }, { before: "", count: 3 }, { pairs: [{ a: "x" }] }] };
  expect(formatResult(result, PLAIN)).toEqual([
    "coverage (3):",
    "  - run · count 2",
    "  - count 3",
    "  -",
    "    pairs (1):",
    "      - x",
  ]);
});

test("a statement inside a map is a headline as in a list", () => {
  const result = {
    view: { best: { claim: "It runs.", citation: { file: "a.md", line: 3, quote: "It runs." } } },
  };
  expect(formatResult(result, PLAIN)).toEqual(["view:", "  best: It runs. · a.md:3"]);
});

test("maps nest, short lists stay on a line, citations show their quote", () => {
  const result = {
    corpus: { root: "/docs", skipped: [], tags: ["a", 1] },
    best: { file: "c.md", line: 1, quote: "Words." },
  };
  expect(formatResult(result, PLAIN)).toEqual([
    "corpus:",
    "  root: /docs",
    "  skipped: none",
    "  tags: a, 1",
    "best: c.md:1",
    '  "Words."',
  ]);
});

test("long text is wrapped at the width and hangs, a long word stays whole", () => {
  const path = "/".padEnd(80, "x");
  const lines = formatResult({ text: `${"word ".repeat(20)}${path}` }, PLAIN);
  expect(lines.slice(0, -1).every((line) => line.length <= 60)).toBe(true);
  expect(lines[1]?.startsWith("  word")).toBe(true);
  expect(lines.at(-1)).toBe(`  ${path}`);
});

test("long lists are cut and say how much is left out", () => {
  const numbers = Array.from({ length: 60 }, (_, index) => index);
  expect(formatResult({ numbers }, { ...PLAIN, columns: 500 })[0]).toMatch(/ 49 and 10 more$/u);
  const entries = formatResult(
    numbers.map((n) => ({ n })),
    PLAIN,
  );
  expect(entries.at(-1)).toBe("and 10 more");
});

test("a result that is no map is shown as it is", () => {
  expect(formatResult("done", PLAIN)).toEqual(["done"]);
  expect(formatResult(42, PLAIN)).toEqual(["42"]);
  expect(formatResult(undefined, PLAIN)).toEqual(["(no result)"]);
  expect(formatResult(["a", null], PLAIN)).toEqual(["- a", "- null"]);
});

test("labels and asides are painted after the lines are broken", () => {
  const said = "A text that is long enough for two lines, and so stands alone.";
  const painted = formatResult(
    { list: [{ claim: said, score: 1 }] },
    { columns: 80, name: (text) => `<${text}>`, note: (text) => `(${text})` },
  );
  expect(painted).toEqual(["<list (1):>", `<  -> ${said}`, "(    score 1)"]);
});
