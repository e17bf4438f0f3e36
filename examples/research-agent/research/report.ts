/**
 * The report: what the agent returns, its summary in a few sentences, and the same as Markdown.
 *
 * Pure. Promises that every statement in the summary is a count or a citation; nothing is written that no document says.
 */
import type { DetailedAnalysis, Perspective } from "./comparison.ts";
import type { CorpusSurvey } from "./corpus.ts";
import type { Citation, Finding, Rejection, Statement } from "./findings.ts";
import { findTerms } from "./terms.ts";

/** One line of the audit interceptor. */
export type AuditEntry = {
  readonly action: "started" | "completed" | "failed";
  /** The workflow or hook. */
  readonly workflow: string;
  /** ISO 8601, the run's own time. */
  readonly timestamp: string;
};

/** The two views on the findings. */
export type Perspectives = { readonly optimistic: Perspective; readonly skeptical: Perspective };

/** What a run of the agent returns. */
export type ResearchReport = {
  readonly question: string;
  readonly summary: string;
  /** Why there is no finding; null when there is one. */
  readonly reason: string | null;
  /** Most relevant first. */
  readonly findings: readonly Finding[];
  /** Sentences that answer to the question but take no stance. */
  readonly background: readonly Statement[];
  /** Findings dropped because their document changed under way. */
  readonly rejected: readonly Rejection[];
  /** Null when there was nothing to look at. */
  readonly perspectives: Perspectives | null;
  readonly analysis: DetailedAnalysis | null;
  readonly corpus: CorpusSurvey;
  /** The audit log up to the return of the agent. */
  readonly auditLog: readonly AuditEntry[];
};

/** What a report is composed of. */
export type ReportParts = Omit<ResearchReport, "summary" | "reason"> & {
  /** Sentences that the first search found. */
  readonly matchCount: number;
};

/** Composes the report: adds the summary, or the reason why there is nothing to report. */
export function composeReport({ matchCount, ...parts }: ReportParts): ResearchReport {
  const { question, corpus, findings } = parts;
  const reason = explainEmptiness(question, corpus, { matchCount, findingCount: findings.length });
  return { ...parts, reason, summary: summarize({ ...parts, reason }) };
}

/** The report as a Markdown document. */
export function renderMarkdown(report: ResearchReport): string {
  const side = (title: string, stance: Finding["stance"]): string[] => {
    const findings = report.findings.filter((finding) => finding.stance === stance);
    return findings.length === 0 ? [] : ["", `## ${title}`, "", ...findings.map(renderStatement)];
  };
  const lines = [
    `# ${report.question}`,
    "",
    report.summary,
    ...side("In support", "supports"),
    ...side("In doubt", "doubts"),
  ];
  if (report.background.length > 0)
    lines.push("", "## Background", "", ...report.background.map(renderStatement));
  return `${lines.join("\n")}\n`;
}

/** Says why nothing was found; null when something was. */
function explainEmptiness(
  question: string,
  corpus: CorpusSurvey,
  found: { readonly matchCount: number; readonly findingCount: number },
): string | null {
  const words = [...findTerms(question).values()];
  if (found.findingCount > 0) return null;
  if (corpus.documentCount === 0)
    return `no readable document in "${corpus.root}" (${corpus.skippedCount} skipped)`;
  if (words.length === 0) return `the question "${question}" has no word to search for`;
  if (found.matchCount === 0) {
    return `no sentence of ${count(corpus.documentCount, "document")} speaks of: ${words.join(", ")}`;
  }
  return `${count(found.matchCount, "sentence")} found, none takes a stance: see the background`;
}

/** Sums a report up in counts and its two strongest citations. */
function summarize(
  report: Pick<ResearchReport, "reason" | "findings" | "perspectives" | "analysis" | "corpus">,
): string {
  const { reason, findings, perspectives, analysis, corpus } = report;
  if (reason !== null) return `Nothing found: ${reason}.`;
  const supportCount = findings.filter(({ stance }) => stance === "supports").length;
  const sentences = [
    `${count(corpus.sentenceCount, "sentence")} in ${count(corpus.documentCount, "document")} ` +
      `gave ${count(findings.length, "finding")}: ` +
      `${supportCount} in support, ${findings.length - supportCount} in doubt.`,
    strongestOf("For it", perspectives?.optimistic),
    strongestOf("Against it", perspectives?.skeptical),
    notMentioned(analysis),
  ];
  return sentences.filter((sentence) => sentence !== "").join(" ");
}

function renderStatement({ claim, citation }: Statement): string {
  return `- ${claim} (${placeOf(citation)})`;
}

function strongestOf(label: string, perspective: Perspective | undefined): string {
  const strongest = perspective?.strongest ?? null;
  return strongest === null ? "" : `${label}: "${strongest.claim}" (${placeOf(strongest.citation)}).`;
}

function notMentioned(analysis: DetailedAnalysis | null): string {
  const words = (analysis?.coverage ?? [])
    .filter(({ findingCount }) => findingCount === 0)
    .map(({ word }) => word);
  return words.length === 0 ? "" : `No finding mentions: ${words.join(", ")}.`;
}

function placeOf({ file, line }: Citation): string {
  return `${file}:${line}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
