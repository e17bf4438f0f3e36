/**
 * Claims about the whole agent on a real Postgres, with a worker for each of its queues: what it reports, what it remembers,
 * and that the documents and the question alone decide it.
 */
import { Client, MemFlow, Worker } from "@memflow/sdk";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client as Postgres } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ResearchInput } from "./research/input.ts";
import type { ResearchReport } from "./research/report.ts";
import * as workflows from "./workflows.ts";

const CONNECTION = {
  class: Postgres,
  options: { connectionString: process.env["MEMFLOW_TEST_DATABASE_URL"] },
};
const NAMESPACE = `research_${randomBytes(8).toString("hex")}`;
const QUESTION = "Does a colony survive the winter?";

let folder: string;
const client = new Client({ connection: CONNECTION, namespace: NAMESPACE });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "research-agent-"));
  await writeNotes("insects", {
    "bees.md": "# Bees\n\nA bee colony always survives a mild winter. Honey is made of nectar.\n",
    "wasps.md": "# Wasps\n\nA wasp colony does not survive the winter. Its queen sleeps until spring.\n",
  });
  await writeNotes("birds", {
    "geese.md": "Every colony of geese leaves for the winter, but some may stay.\n",
  });
  await writeNotes("empty", {});
  // As the worker process does: first what wraps the workflows, then the workflows.
  await import("./interceptors.ts");
  for (const taskQueue of ["research", "analysis", "notifications"]) {
    await Worker.create({ connection: CONNECTION, namespace: NAMESPACE, taskQueue, workflow: workflows });
  }
});

afterAll(async () => {
  await MemFlow.shutdown();
  const postgres = new Postgres(CONNECTION.options);
  await postgres.connect();
  await postgres.query(`drop schema if exists ${postgres.escapeIdentifier(NAMESPACE)} cascade`);
  await postgres.end();
  await rm(folder, { recursive: true });
});

async function writeNotes(name: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(folder, name));
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, name, file), text);
}

async function start(input: ResearchInput) {
  return client.workflow.start({
    args: [input],
    taskQueue: "research",
    workflowName: "researchAgent",
    workflowId: MemFlow.guid(),
  });
}

async function research(question: string, corpus: string): Promise<ResearchReport> {
  const handle = await start({ question, corpus: join(folder, corpus), paceMs: 0 });
  return handle.result<ResearchReport>();
}

test("the report has both sides, each finding with the place where it stands", async () => {
  const report = await research(QUESTION, "insects");
  expect(report.reason).toBeNull();
  expect(
    report.findings.map(({ claim, stance, citation }) => [
      stance,
      claim,
      `${citation.file}:${citation.line}`,
    ]),
  ).toEqual(
    expect.arrayContaining([
      ["supports", "A bee colony always survives a mild winter.", "bees.md:3"],
      ["doubts", "A wasp colony does not survive the winter.", "wasps.md:3"],
    ]),
  );
  for (const { citation } of report.findings) {
    const lines = (await readFile(join(folder, "insects", citation.file), "utf8")).split("\n");
    expect(lines[citation.line - 1]).toContain(citation.quote);
  }
});

test("both hooks answer by their signals and the child compares what they found", async () => {
  const report = await research(QUESTION, "insects");
  expect(report.perspectives?.optimistic).toMatchObject({ stance: "supports", files: ["bees.md"] });
  expect(report.perspectives?.skeptical).toMatchObject({ stance: "doubts", files: ["wasps.md"] });
  expect(report.analysis?.coverage).toEqual([
    { word: "colony", findingCount: 2 },
    { word: "survive", findingCount: 2 },
    { word: "winter", findingCount: 2 },
  ]);
  expect(report.analysis?.contexts.map(({ after }) => after)).toEqual([
    "Honey is made of nectar.",
    "Its queen sleeps until spring.",
  ]);
});

test("the entity keeps findings, perspectives, status and the audit log, with an end for each start", async () => {
  const handle = await start({ question: QUESTION, corpus: join(folder, "insects"), paceMs: 0 });
  const report = await handle.result<ResearchReport>();
  const memory = await handle.entity<Record<string, unknown>>();
  expect(memory).toMatchObject({
    question: QUESTION,
    status: "complete",
    findings: expect.arrayContaining([...report.findings]),
    perspectives: report.perspectives,
  });
  const log = memory["auditLog"] as ResearchReport["auditLog"];
  expect(log.map(({ workflow, action }) => `${workflow} ${action}`)).toEqual([
    "researchAgent started",
    "optimisticView started",
    "optimisticView completed",
    "skepticalView started",
    "skepticalView completed",
    "researchAgent completed",
  ]);
  expect(report.auditLog).toEqual(log.slice(0, -1));
});

test("another corpus and another question give another report", async () => {
  const insects = await research(QUESTION, "insects");
  const birds = await research(QUESTION, "birds");
  const honey = await research("What is honey made of?", "insects");
  expect(birds.findings.map(({ citation }) => citation.file)).toEqual(["geese.md"]);
  expect(birds.summary).not.toBe(insects.summary);
  expect(honey.background.map(({ claim }) => claim)).toEqual(["Honey is made of nectar."]);
  expect(honey.reason).toContain("none takes a stance");
});

test.each([
  ["an empty folder", QUESTION, "empty", "no readable document"],
  [
    "a question that no sentence answers",
    "Are purple unicorns edible?",
    "insects",
    "no sentence of 2 documents speaks of",
  ],
  ["a question without a meaning word", "Is it?", "insects", "has no word to search for"],
])("%s gives an empty report with the reason", async (_, question, corpus, reason) => {
  const report = await research(question, corpus);
  expect(report).toMatchObject({ findings: [], perspectives: null, analysis: null });
  expect(report.reason).toContain(reason);
});

test("a question alone is researched in the project's own documents", async () => {
  const handle = await start("How does a run survive a crash?");
  const report = await handle.result<ResearchReport>();
  expect(report.corpus.documentCount).toBeGreaterThan(0);
  expect(report.question).toBe("How does a run survive a crash?");
});

test("a folder that does not exist fails the run at once and is named", async () => {
  const missing = join(folder, "nowhere");
  const handle = await start({ question: QUESTION, corpus: missing });
  await expect(handle.result()).rejects.toMatchObject({ name: "CorpusNotFoundError", corpus: missing });
});

test("a bad input fails the run at once and the field is named", async () => {
  const handle = await start({ question: QUESTION, paceMs: -1 });
  await expect(handle.result()).rejects.toMatchObject({
    name: "ResearchInputError",
    code: 598,
    field: "paceMs",
  });
});

test("with a report file, a child that nobody waits for writes it", async () => {
  const reportFile = join(folder, "report.md");
  const handle = await start({ question: QUESTION, corpus: join(folder, "insects"), paceMs: 0, reportFile });
  await handle.result();
  const sender = (await handle.family()).find(({ workflowName }) => workflowName === "sendUpdates");
  const sending = await client.workflow.getRun(sender?.runId ?? expect.fail("no child was started"));
  expect(await sending.result()).toBe(reportFile);
  expect(await readFile(reportFile, "utf8")).toContain(
    "- A bee colony always survives a mild winter. (bees.md:3)",
  );
});

test("ten agents at once, with the same signal ids, keep their findings apart", async () => {
  const corpora = Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? "insects" : "birds"));
  const reports = await Promise.all(corpora.map((corpus) => research(QUESTION, corpus)));
  const [insects, birds] = [await research(QUESTION, "insects"), await research(QUESTION, "birds")];
  for (const [index, report] of reports.entries()) {
    const alone = index % 2 === 0 ? insects : birds;
    expect({ ...report, auditLog: [] }).toEqual({ ...alone, auditLog: [] });
  }
});
