/**
 * The research agent: a durable workflow, its two views, and its children.
 *
 * Every function exported here is a workflow or a hook under its own name. They decide and remember; whatever touches a file
 * is in `activities.ts`. Kill the worker at any line: another one goes on there. What a run needs to know lives in its
 * arguments and its entity, never in a variable of this module.
 */
import { MemFlow } from "@memflow/sdk";
import * as activities from "./activities.ts";
import type { Reading } from "./activities.ts";
import {
  type DetailedAnalysis,
  type Perspective,
  strongestOfEachSide,
  takePerspective,
} from "./research/comparison.ts";
import {
  byRelevance,
  type Finding,
  newFindings,
  type Rejection,
  type Statement,
} from "./research/findings.ts";
import { checkResearchInput, type ResearchInput, type ResearchRequest } from "./research/input.ts";
import { type AuditEntry, composeReport, type Perspectives, type ResearchReport } from "./research/report.ts";
import type { Match } from "./research/search.ts";

const {
  surveyCorpus,
  searchCorpus,
  analyzeDocument,
  validateFindings,
  gatherEvidence,
  compareFindings,
  readContext,
  deliverReport,
} = MemFlow.workflow.proxyActivities<typeof activities>({
  activities,
  retryPolicy: {
    maximumAttempts: 3,
    backoffCoefficient: 2,
    // A folder that is not there will not appear by trying again.
    nonRetryableErrorTypes: ["CorpusNotFoundError"],
  },
});

/** What the agent keeps in its entity; its hooks read and write the same memory. */
type Memory = {
  readonly question: string;
  readonly reading: Reading;
  readonly findings: readonly Finding[];
  readonly status: "researching" | "analyzing" | "complete";
  readonly auditLog: readonly AuditEntry[];
};

/** Says on which signal a hook reports back; `execHook` appends it to the hook's arguments. */
type HookReply = { readonly signal: string };

/** What the detailed analysis works on. */
type AnalysisData = Reading & { readonly question: string; readonly findings: readonly Finding[] };

/** What the first reading gives beside the findings, which it keeps in the entity. */
type FirstReading = { readonly background: readonly Statement[]; readonly rejected: readonly Rejection[] };

const BACKGROUND_MAX = 3;

/** Researches a question in a folder of documents and returns findings that cite file and line. */
export async function researchAgent(input: ResearchInput): Promise<ResearchReport> {
  const request = checkResearchInput(input);
  const { question } = request;
  const reading = readingOf(request);
  const agent = await MemFlow.workflow.entity();

  // `set` replaces everything, and the audit interceptor has written its first line already: carry it over.
  await agent.set({ ...(await agent.get<object>()), question, reading, findings: [], status: "researching" });
  const corpus = await surveyCorpus(reading);
  const matches = await searchCorpus({ ...reading, question });
  const firstReading = await readDocuments(reading, matches);

  // Nothing to hold a view on: the report says why.
  const perspectives = matches.length === 0 ? null : await takePerspectives(question);

  await agent.merge({ status: "analyzing" });
  const analysis = perspectives === null ? null : await analyzeInDetail(reading, question);

  await agent.merge({ status: "complete" });
  const { findings, auditLog } = await agent.get<Memory>();
  const report = composeReport({
    question,
    corpus,
    findings: findings.toSorted(byRelevance).slice(0, request.findingsMax),
    ...firstReading,
    matchCount: matches.length,
    perspectives,
    analysis,
    auditLog,
  });
  if (request.reportFile !== null) await sendReport(request.reportFile, report);
  return report;
}

/** Hook: searches the whole corpus for what speaks for it. */
export async function optimisticView(question: string, reply: HookReply): Promise<void> {
  const perspective = await takeView(question, "supports");
  const agent = await MemFlow.workflow.entity();
  await agent.merge({ perspectives: { optimistic: perspective } });
  await MemFlow.workflow.signal(reply.signal, perspective);
}

/** Hook: searches the whole corpus for what speaks against it. */
export async function skepticalView(question: string, reply: HookReply): Promise<void> {
  const perspective = await takeView(question, "doubts");
  const agent = await MemFlow.workflow.entity();
  await agent.merge({ perspectives: { skeptical: perspective } });
  await MemFlow.workflow.signal(reply.signal, perspective);
}

/** Child: holds the findings against each other and reads around the strongest of each side. */
export async function detailedAnalysis(data: AnalysisData): Promise<DetailedAnalysis> {
  const { question, findings, ...readingOfParent } = data;
  const reading = { ...readingOfParent, run: MemFlow.workflow.workflowInfo().workflowId };
  const comparison = await compareFindings({ ...reading, question, findings });
  const contexts = await Promise.all(
    strongestOfEachSide(findings).map(({ citation }) => readContext({ ...reading, citation })),
  );
  return { ...comparison, contexts };
}

/** Child that nobody waits for: writes the report where people look for it. */
export async function sendUpdates(updates: {
  readonly file: string;
  readonly report: ResearchReport;
}): Promise<string> {
  return deliverReport({ ...updates, run: MemFlow.workflow.workflowInfo().workflowId });
}

/** Analyzes the matching documents one by one; findings whose citation stands go into the entity. */
async function readDocuments(reading: Reading, matches: readonly Match[]): Promise<FirstReading> {
  const agent = await MemFlow.workflow.entity();
  const background: Statement[] = [];
  const rejected: Rejection[] = [];
  for (const [file, matchesOfFile] of Map.groupBy(matches, (match) => match.file)) {
    const analysis = await analyzeDocument({ ...reading, file, matches: matchesOfFile });
    const validation = await validateFindings({ ...reading, findings: analysis.findings });
    for (const newFinding of validation.findings) await agent.append("findings", newFinding);
    background.push(...analysis.background);
    rejected.push(...validation.rejected);
  }
  return { background: background.toSorted(byRelevance).slice(0, BACKGROUND_MAX), rejected };
}

/** Lets two hooks look at the question from opposite sides; each has a history of its own and works in this run's memory. */
async function takePerspectives(question: string): Promise<Perspectives> {
  await MemFlow.workflow.execHook({
    taskQueue: "research",
    workflowName: "optimisticView",
    args: [question],
    signalId: "optimistic-complete",
  });

  await MemFlow.workflow.execHook({
    taskQueue: "research",
    workflowName: "skepticalView",
    args: [question],
    signalId: "skeptical-complete",
  });

  const [optimistic, skeptical] = await Promise.all([
    MemFlow.workflow.waitFor<Perspective>("optimistic-complete"),
    MemFlow.workflow.waitFor<Perspective>("skeptical-complete"),
  ]);
  return { optimistic, skeptical };
}

/** One view: gathers evidence for its side, keeps what is new, and sums its side up. */
async function takeView(question: string, stance: Finding["stance"]): Promise<Perspective> {
  const agent = await MemFlow.workflow.entity();
  const { reading, findings } = await agent.get<Memory>();
  const evidence = await gatherEvidence({ ...reading, question, stance });
  for (const newFinding of newFindings(findings, evidence)) await agent.append("findings", newFinding);
  return takePerspective(await agent.get<readonly Finding[]>("findings"), stance);
}

async function analyzeInDetail(reading: Reading, question: string): Promise<DetailedAnalysis> {
  const agent = await MemFlow.workflow.entity();
  return MemFlow.workflow.execChild<DetailedAnalysis>({
    taskQueue: "analysis",
    workflowName: "detailedAnalysis",
    args: [{ ...reading, question, findings: await agent.get("findings") }],
    config: {
      maximumAttempts: 5,
      backoffCoefficient: 2,
    },
  });
}

/** Fire and forget: the agent returns its report whether or not the file can be written. */
async function sendReport(file: string, report: ResearchReport): Promise<void> {
  await MemFlow.workflow.startChild({
    taskQueue: "notifications",
    workflowName: "sendUpdates",
    args: [{ file, report }],
  });
}

function readingOf(request: ResearchRequest): Reading {
  const { workflowId } = MemFlow.workflow.workflowInfo();
  return { run: workflowId, corpus: request.corpus, paceMs: request.paceMs };
}
