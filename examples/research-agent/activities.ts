/**
 * The agent's activities: everything that touches files, and so everything that a replay must not do again.
 *
 * Each reads the documents it needs, hands them to the pure code in `research/`, and returns a small outcome that is kept in
 * the run's history. They run at least once: all but `deliverReport` only read, and that one replaces its file as a whole.
 */
import { rename, writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { recordStep } from "./ledger.ts";
import { type Comparison, compareFindings as compare, type FindingContext } from "./research/comparison.ts";
import { type CorpusListing, type CorpusSurvey, listCorpus, readDocument } from "./research/corpus.ts";
import {
  type Analysis,
  analyzeMatches,
  byRelevance,
  checkCitations,
  type Citation,
  type Finding,
  type Validation,
} from "./research/findings.ts";
import { renderMarkdown, type ResearchReport } from "./research/report.ts";
import { type Match, type PlacedSentence, searchSentences } from "./research/search.ts";
import { extractSentences } from "./research/sentences.ts";

/** What every activity is told. */
export type Reading = {
  /** The run that asks, for the ledger. */
  readonly run: string;
  /** Folder or file on the worker's machine; null for the project's own documents. */
  readonly corpus: string | null;
  /** Wait after each document, in milliseconds. */
  readonly paceMs: number;
};

/** Left-out documents listed by name; the rest is only counted. */
const SKIPPED_LISTED_MAX = 20;

/** Matches of the first search. */
const MATCH_MAX = 24;

/** A view looks deeper than the first search, then keeps its best. */
const EVIDENCE_MATCH_MAX = 100;
const EVIDENCE_MAX = 6;

/** Reads the corpus once and says what is in it. */
export async function surveyCorpus(request: Reading): Promise<CorpusSurvey> {
  const { root, documents, skipped, sentences } = await readCorpus(request);
  return recordStep("surveyCorpus", request, {
    root,
    documentCount: documents.length,
    sentenceCount: sentences.length,
    skipped: skipped.slice(0, SKIPPED_LISTED_MAX),
    skippedCount: skipped.length,
  });
}

/** Finds the sentences that answer to the question, best first. */
export async function searchCorpus(
  request: Reading & { readonly question: string },
): Promise<readonly Match[]> {
  const { sentences } = await readCorpus(request);
  const matches = await searchSentences(sentences, { question: request.question, matchMax: MATCH_MAX });
  return recordStep("searchCorpus", request, matches);
}

/** Judges the matches of one document. */
export async function analyzeDocument(
  request: Reading & { readonly file: string; readonly matches: readonly Match[] },
): Promise<Analysis> {
  const text = await readIfPresent(request.corpus, request.file);
  await pause(request.paceMs);
  return recordStep("analyzeDocument", request, analyzeMatches(text ?? "", request.matches));
}

/** Looks each citation up again: a finding is kept only if its quote stands at its line now. */
export async function validateFindings(
  request: Reading & { readonly findings: readonly Finding[] },
): Promise<Validation> {
  const texts = new Map<string, string | undefined>();
  for (const { citation } of request.findings) {
    if (!texts.has(citation.file))
      texts.set(citation.file, await readIfPresent(request.corpus, citation.file));
  }
  return recordStep(
    "validateFindings",
    request,
    checkCitations(request.findings, (file) => texts.get(file)),
  );
}

/** Searches the whole corpus for one side only: the sentences that speak for, or against. */
export async function gatherEvidence(
  request: Reading & { readonly question: string; readonly stance: "supports" | "doubts" },
): Promise<readonly Finding[]> {
  const { question, stance, corpus } = request;
  const { sentences } = await readCorpus(request);
  const matches = await searchSentences(sentences, { question, matchMax: EVIDENCE_MATCH_MAX });
  const findings: Finding[] = [];
  for (const [file, ofFile] of Map.groupBy(matches, (match) => match.file)) {
    const text = await readIfPresent(corpus, file);
    findings.push(
      ...analyzeMatches(text ?? "", ofFile).findings.filter((finding) => finding.stance === stance),
    );
  }
  return recordStep("gatherEvidence", request, findings.toSorted(byRelevance).slice(0, EVIDENCE_MAX));
}

/** Holds the findings against each other and against the question. */
export async function compareFindings(
  request: Reading & { readonly question: string; readonly findings: readonly Finding[] },
): Promise<Comparison> {
  await pause(request.paceMs);
  return recordStep("compareFindings", request, compare(request.question, request.findings));
}

/** Reads the sentences before and after a citation. */
export async function readContext(
  request: Reading & { readonly citation: Citation },
): Promise<FindingContext> {
  const { citation, corpus } = request;
  const sentences = extractSentences((await readIfPresent(corpus, citation.file)) ?? "");
  const index = sentences.findIndex(({ line, quote }) => line === citation.line && quote === citation.quote);
  await pause(request.paceMs);
  return recordStep("readContext", request, {
    citation,
    before: index > 0 ? (sentences[index - 1]?.text ?? "") : "",
    after: index === -1 ? "" : (sentences[index + 1]?.text ?? ""),
  });
}

/** Writes the report as Markdown; a reader of the file sees the old report or the new one, never half of it. */
export async function deliverReport(request: {
  readonly run: string;
  readonly file: string;
  readonly report: ResearchReport;
}): Promise<string> {
  const draft = `${request.file}.${process.pid}.tmp`;
  await writeFile(draft, renderMarkdown(request.report));
  await rename(draft, request.file);
  return recordStep("deliverReport", request, request.file);
}

async function readCorpus(
  request: Reading,
): Promise<CorpusListing & { readonly sentences: readonly PlacedSentence[] }> {
  const listing = await listCorpus(request.corpus);
  const sentences: PlacedSentence[] = [];
  for (const { file } of listing.documents) {
    const text = await readDocument(listing.root, file);
    for (const sentence of extractSentences(text)) sentences.push({ ...sentence, file });
    // Also at pace 0 a turn for the worker's other runs: a large corpus is seconds of work.
    await pause(request.paceMs);
  }
  return { ...listing, sentences };
}

async function readIfPresent(corpus: string | null, file: string): Promise<string | undefined> {
  const { root, documents } = await listCorpus(corpus);
  // Only listed documents are read, whatever name a request carries.
  return documents.some((document) => document.file === file) ? readDocument(root, file) : undefined;
}
