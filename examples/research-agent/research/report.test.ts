/** Claims about the report: the summary is made of counts and citations, and emptiness has a reason. */
import { expect, test } from "vitest";
import { takePerspective } from "./comparison.ts";
import type { Finding } from "./findings.ts";
import { composeReport, renderMarkdown, type ReportParts } from "./report.ts";

const CORPUS = { root: "/notes", documentCount: 2, sentenceCount: 40, skipped: [], skippedCount: 0 };

const FINDING: Finding = {
  claim: "A signal is never lost.",
  stance: "supports",
  strength: 2,
  score: 9.5,
  cues: ["harm ruled out: never lost"],
  citation: { file: "signals.md", line: 7, quote: "A signal is never lost." },
};

const PARTS: ReportParts = {
  question: "Is a signal ever lost?",
  findings: [FINDING],
  background: [],
  rejected: [],
  matchCount: 1,
  perspectives: {
    optimistic: takePerspective([FINDING], "supports"),
    skeptical: takePerspective([FINDING], "doubts"),
  },
  analysis: { balance: 1, coverage: [{ word: "late", findingCount: 0 }], tensions: [], contexts: [] },
  corpus: CORPUS,
  auditLog: [],
};

const NOTHING: ReportParts = { ...PARTS, findings: [], matchCount: 0, perspectives: null, analysis: null };

test("the summary counts, cites, and says what no finding mentions", () => {
  expect(composeReport(PARTS)).toMatchObject({
    reason: null,
    summary:
      "40 sentences in 2 documents gave 1 finding: 1 in support, 0 in doubt. " +
      'For it: "A signal is never lost." (signals.md:7). No finding mentions: late.',
  });
});

test.each([
  ["no readable document", { corpus: { ...CORPUS, documentCount: 0 } }],
  ["no word to search for", { question: "Is it?" }],
  ["no sentence of 2 documents speaks of: purple, signals", { question: "purple signals" }],
  ["3 sentences found, none takes a stance", { matchCount: 3 }],
])("an empty report has a reason, in its summary too: %s", (reason, parts) => {
  const report = composeReport({ ...NOTHING, ...parts });
  expect(report.reason).toContain(reason);
  expect(report.summary).toBe(`Nothing found: ${report.reason}.`);
});

test("the Markdown has each finding under its side, with its place", () => {
  expect(renderMarkdown({ ...composeReport(PARTS), summary: "A summary." })).toBe(
    "# Is a signal ever lost?\n\nA summary.\n\n## In support\n\n- A signal is never lost. (signals.md:7)\n",
  );
});
