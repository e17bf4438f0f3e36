/** Claims about the activities on real folders: they read what is there now, and the ledger has a line for each. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test as base, vi } from "vitest";
import * as activities from "./activities.ts";
import type { LedgerEntry } from "./ledger.ts";
import type { ResearchReport } from "./research/report.ts";

type Notes = { readonly folder: string; readonly reading: activities.Reading };

const test = base.extend<{ notes: Notes }>({
  // oxlint-disable-next-line no-empty-pattern -- vitest asks for a destructured first parameter
  notes: async ({}, use) => {
    const parent = await mkdtemp(join(tmpdir(), "research-notes-"));
    const folder = join(parent, "notes");
    await mkdir(folder);
    await writeFile(
      join(folder, "bees.md"),
      "# Bees\n\nA bee colony always survives a mild winter. Honey is made of nectar.\n",
    );
    await writeFile(
      join(folder, "wasps.md"),
      "# Wasps\n\nA wasp colony does not survive the winter. Only its queen does.\n",
    );
    await use({ folder, reading: { run: "run-1", corpus: folder, paceMs: 0 } });
    await rm(parent, { recursive: true });
  },
});

const QUESTION = "Does a colony survive the winter?";

async function analyzeAll(reading: activities.Reading): ReturnType<typeof activities.gatherEvidence> {
  const supports = await activities.gatherEvidence({ ...reading, question: QUESTION, stance: "supports" });
  const doubts = await activities.gatherEvidence({ ...reading, question: QUESTION, stance: "doubts" });
  return [...supports, ...doubts];
}

test("the survey counts documents and sentences", async ({ notes }) => {
  expect(await activities.surveyCorpus(notes.reading)).toEqual({
    root: notes.folder,
    documentCount: 2,
    sentenceCount: 4,
    skipped: [],
    skippedCount: 0,
  });
});

test("the search finds the sentences that answer, over all documents", async ({ notes }) => {
  const matches = await activities.searchCorpus({ ...notes.reading, question: QUESTION });
  expect(matches.map(({ file, line }) => [file, line])).toEqual(
    expect.arrayContaining([
      ["bees.md", 3],
      ["wasps.md", 3],
    ]),
  );
  expect(await activities.searchCorpus({ ...notes.reading, question: "purple unicorns" })).toEqual([]);
});

test("a document's analysis takes its stance from its words", async ({ notes }) => {
  const matches = await activities.searchCorpus({ ...notes.reading, question: QUESTION });
  const ofBees = matches.filter(({ file }) => file === "bees.md");
  const analysis = await activities.analyzeDocument({ ...notes.reading, file: "bees.md", matches: ofBees });
  expect(analysis.findings).toMatchObject([
    {
      claim: "A bee colony always survives a mild winter.",
      stance: "supports",
      citation: { file: "bees.md", line: 3 },
    },
  ]);
});

test("each side gathers its own evidence", async ({ notes }) => {
  const supports = await activities.gatherEvidence({
    ...notes.reading,
    question: QUESTION,
    stance: "supports",
  });
  const doubts = await activities.gatherEvidence({ ...notes.reading, question: QUESTION, stance: "doubts" });
  expect(supports.map(({ citation }) => citation.file)).toEqual(["bees.md"]);
  expect(doubts.map(({ citation }) => citation.file)).toContain("wasps.md");
});

test("a citation is rejected once its document says something else, or is gone", async ({ notes }) => {
  const findings = await analyzeAll(notes.reading);
  expect(await activities.validateFindings({ ...notes.reading, findings })).toEqual({
    findings,
    rejected: [],
  });
  await writeFile(join(notes.folder, "bees.md"), "# Bees\n\nNobody knows whether a colony survives.\n");
  await rm(join(notes.folder, "wasps.md"));
  const validation = await activities.validateFindings({ ...notes.reading, findings });
  expect(validation.findings).toEqual([]);
  expect(validation.rejected.map(({ reason }) => reason)).toEqual(
    findings.map(({ citation }) => expect.stringContaining(citation.file === "bees.md" ? "changed" : "gone")),
  );
});

test("the context of a citation is the sentences around it", async ({ notes }) => {
  const citation = { file: "wasps.md", line: 3, quote: "Only its queen does." };
  expect(await activities.readContext({ ...notes.reading, citation })).toEqual({
    citation,
    before: "A wasp colony does not survive the winter.",
    after: "",
  });
});

test("a file that is not part of the corpus is not read, whatever a request names", async ({ notes }) => {
  const citation = { file: "../secret.md", line: 1, quote: "A secret is kept here always." };
  await writeFile(join(notes.folder, "..", "secret.md"), citation.quote);
  const context = await activities.readContext({ ...notes.reading, citation });
  expect(context).toEqual({ citation, before: "", after: "" });
});

test("a report replaces its file as a whole", async ({ notes }) => {
  const file = join(notes.folder, "report.txt");
  await writeFile(file, "an older and longer report that must not shine through");
  const corpus = await activities.surveyCorpus(notes.reading);
  const report: ResearchReport = {
    question: QUESTION,
    summary: "Nothing found: it is a test.",
    reason: "it is a test",
    findings: [],
    background: [],
    rejected: [],
    perspectives: null,
    analysis: null,
    corpus,
    auditLog: [],
  };
  expect(await activities.deliverReport({ run: "run-1", file, report })).toBe(file);
  expect(await readFile(file, "utf8")).toBe(`# ${QUESTION}\n\nNothing found: it is a test.\n`);
  expect(await readdir(notes.folder)).toEqual(["bees.md", "report.txt", "wasps.md"]);
});

test("with a ledger named, every step notes itself before it returns; the same step has the same name", async ({
  notes,
}) => {
  const ledger = join(notes.folder, "ledger.jsonl");
  vi.stubEnv("MEMFLOW_STEP_LEDGER", ledger);
  try {
    await activities.surveyCorpus(notes.reading);
    await activities.searchCorpus({ ...notes.reading, question: "winter" });
    await activities.searchCorpus({ ...notes.reading, question: "honey" });
    await activities.surveyCorpus(notes.reading);
  } finally {
    vi.unstubAllEnvs();
  }
  const entries = (await readFile(ledger, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as LedgerEntry);
  expect(entries.map(({ run, activity, pid }) => [run, activity, pid])).toEqual([
    ["run-1", "surveyCorpus", process.pid],
    ["run-1", "searchCorpus", process.pid],
    ["run-1", "searchCorpus", process.pid],
    ["run-1", "surveyCorpus", process.pid],
  ]);
  const [first, second, third, again] = entries.map(({ step }) => step);
  expect(again).toBe(first);
  expect(new Set([first, second, third]).size).toBe(3);
});
