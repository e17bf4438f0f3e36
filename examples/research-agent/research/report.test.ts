/** Claims about the report: the summary is made of counts and citations, and emptiness has a reason. */
import { expect, test } from "vitest";
import { takePerspective } from "./comparison.ts";
import type { Finding } from "./findings.ts";
import { explainEmptiness, renderMarkdown, type ResearchReport, summarize } from "./report.ts";

const CORPUS = { root: "/notes", documentCount: 2, sentenceCount: 40, skipped: [], skippedCount: 0 };

const FINDING: Finding = {
  claim: "A signal is never lost.",
  stance: "supports",
  strength: 2,
  score: 9.5,
  cues: ["harm ruled out: never lost"],
  citation: { file: "signals.md", line: 7, quote: "A signal is never lost." },
};

const REPORT: ResearchReport = {
  question: "Is a signal ever lost?",
  summary: "A summary.",
  reason: null,
  findings: [FINDING],
  background: [],
  rejected: [],
  perspectives: {
    optimistic: takePerspective([FINDING], "supports"),
    skeptical: takePerspective([FINDING], "doubts"),
  },
  analysis: { balance: 1, coverage: [{ word: "late", findingCount: 0 }], tensions: [], contexts: [] },
  corpus: CORPUS,
  auditLog: [],
};

test("the summary counts, cites, and says what no finding mentions", () => {
  expect(summarize(REPORT)).toBe(
    "40 sentences of 2 documents give 1 findings: 1 in support, 0 in doubt. " +
      'For it: "A signal is never lost." (signals.md:7). No finding mentions: late.',
  );
});

test.each([
  ["no readable document", "Why signals?", { ...CORPUS, documentCount: 0 }, 0],
  ["no word to search for", "Is it?", CORPUS, 0],
  ["none of 40 sentences in 2 documents speaks of: purple, signals", "purple signals", CORPUS, 0],
  ["3 sentences speak of it, none takes a stance", "signals", CORPUS, 3],
])("emptiness has a reason: %s", (reason, question, corpus, matchCount) => {
  expect(explainEmptiness(question, corpus, { matchCount, findingCount: 0 })).toContain(reason);
});

test("a report with findings has no reason to be empty, one without says it in its summary", () => {
  expect(explainEmptiness("signals", CORPUS, { matchCount: 1, findingCount: 1 })).toBeNull();
  expect(summarize({ ...REPORT, findings: [], reason: "there is no corpus" })).toBe(
    "Nothing found: there is no corpus.",
  );
});

test("the Markdown has each finding under its side, with its place", () => {
  expect(renderMarkdown(REPORT)).toBe(
    "# Is a signal ever lost?\n\nA summary.\n\n## In support\n\n- A signal is never lost. (signals.md:7)\n",
  );
});
