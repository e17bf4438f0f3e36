/** Claims about findings: stance with its reasons, citations that are looked up again, no finding twice. */
import { expect, test } from "vitest";
import { analyzeMatches, byRelevance, checkCitations, type Finding, newFindings } from "./findings.ts";
import { searchSentences } from "./search.ts";
import { extractSentences } from "./sentences.ts";

const DOCUMENT = [
  "An acknowledged signal is never lost.",
  "A signal has an id and a payload.",
  "A signal always wakes its run. But an old signal may come too late.",
].join("\n\n");

async function analyze(document: string) {
  const sentences = extractSentences(document).map((sentence) => ({ ...sentence, file: "signals.md" }));
  return analyzeMatches(document, await searchSentences(sentences, { question: "signal", matchMax: 10 }));
}

async function findingsOf(document: string): Promise<readonly [Finding, ...Finding[]]> {
  const [first, ...others] = (await analyze(document)).findings;
  return first === undefined ? expect.fail("the document gave no finding") : [first, ...others];
}

test("a match with a stance is a finding with its cues, one without is background", async () => {
  const { findings, background } = await analyze(DOCUMENT);
  expect(findings).toContainEqual({
    claim: "An acknowledged signal is never lost.",
    stance: "supports",
    strength: 2,
    cues: ["harm ruled out: never lost"],
    score: expect.any(Number),
    citation: { file: "signals.md", line: 1, quote: "An acknowledged signal is never lost." },
  });
  expect(background.map(({ claim }) => claim)).toContain("A signal has an id and a payload.");
});

test("a claim that the next sentence takes back is judged together with it", async () => {
  const { findings, background } = await analyze(DOCUMENT);
  const claim = "A signal always wakes its run.";
  expect(findings.map((finding) => finding.claim)).not.toContain(claim);
  expect(background.map((statement) => statement.claim)).toContain(claim);
});

test("a citation stands as long as its quote stands at its line", async () => {
  const findings = await findingsOf(DOCUMENT);
  expect(checkCitations(findings, () => DOCUMENT)).toEqual({ findings, rejected: [] });
});

test("a document that changed or is gone rejects its findings with the reason", async () => {
  const [finding] = await findingsOf(DOCUMENT);
  const { citation } = finding;
  const changed = checkCitations([finding], () => `A new first line stands here.\n\n${DOCUMENT}`);
  expect(changed).toEqual({
    findings: [],
    rejected: [{ citation, reason: "the document changed: the quote no longer stands at this line" }],
  });
  expect(checkCitations([finding], () => undefined).rejected).toEqual([
    { citation, reason: "the document is gone" },
  ]);
});

test("a finding of the same place is not new", async () => {
  const findings = await findingsOf(DOCUMENT);
  expect(newFindings(findings.slice(1), findings)).toEqual(findings.slice(0, 1));
  expect(newFindings(findings, findings)).toEqual([]);
});

test("findings are ordered by relevance, then by place", async () => {
  const [finding] = await findingsOf(DOCUMENT);
  const { citation } = finding;
  const later = { ...finding, citation: { ...citation, line: 10 } };
  const earlier = { ...finding, citation: { ...citation, line: 9 } };
  const better = { ...later, score: finding.score + 1 };
  expect([later, earlier, better].toSorted(byRelevance)).toEqual([better, earlier, later]);
});
