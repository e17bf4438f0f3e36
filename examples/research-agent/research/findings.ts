/**
 * Findings: cited sentences that speak for or against what the question asks about.
 *
 * Promises that each finding carries its place and its words, so that a reader (and `checkCitations`) can look it up. A
 * finding says how a document speaks, not what is true.
 */
import type { Match } from "./search.ts";
import { extractSentences, type Sentence } from "./sentences.ts";
import { judgeStance } from "./stance.ts";

/** Where a sentence stands. */
export type Citation = {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** The words as they stand there, white space folded. */
  readonly quote: string;
};

/** A cited sentence that answers to the question, without a stance. */
export type Statement = {
  readonly claim: string;
  /** BM25+ relevance to the question. */
  readonly score: number;
  readonly citation: Citation;
};

/** A cited sentence that takes a stance. */
export type Finding = Statement & {
  readonly stance: "supports" | "doubts";
  /** How strong the stance is: the absolute sum of its cue families' weights. */
  readonly strength: number;
  /** The words that decided the stance. */
  readonly cues: readonly string[];
};

/** What one document contributes. */
export type Analysis = { readonly findings: readonly Finding[]; readonly background: readonly Statement[] };

/** A finding whose citation does not stand. */
export type Rejection = { readonly citation: Citation; readonly reason: string };

/** Findings whose citations stand, and those that don't. */
export type Validation = { readonly findings: readonly Finding[]; readonly rejected: readonly Rejection[] };

/** Words that take back, or narrow, what the sentence before them says. */
const CONTRAST_AT_START = /^(?:but|however|except|unless|yet|still|nevertheless|only)\b/i;

/**
 * Sorts one document's matches into findings and, where no stance is taken, background.
 *
 * @param document - The document's text: a claim that the next sentence takes back is judged together with it.
 */
export function analyzeMatches(document: string, matches: readonly Match[]): Analysis {
  const sentences = extractSentences(document);
  const findings: Finding[] = [];
  const background: Statement[] = [];
  for (const match of matches) {
    const { text: claim, score, file, line, quote } = match;
    const statement: Statement = { claim, score, citation: { file, line, quote } };
    const { stance, weight, cues } = judgeStance([claim, contrastAfter(match, sentences)].join(" "));
    if (stance === "neutral") background.push(statement);
    else findings.push({ ...statement, stance, strength: Math.abs(weight), cues });
  }
  return { findings, background };
}

/**
 * Keeps the findings whose quote stands in its document at its line.
 *
 * @param textOf - The document's present text, undefined when it is gone.
 */
export function checkCitations(
  findings: readonly Finding[],
  textOf: (file: string) => string | undefined,
): Validation {
  const kept: Finding[] = [];
  const rejected: Rejection[] = [];
  for (const finding of findings) {
    const { citation } = finding;
    const reason = reasonToReject(citation, textOf(citation.file));
    if (reason === null) kept.push(finding);
    else rejected.push({ citation, reason });
  }
  return { findings: kept, rejected };
}

/** The findings of `candidates` that are not among `known` yet. */
export function newFindings(known: readonly Finding[], candidates: readonly Finding[]): readonly Finding[] {
  const places = new Set(known.map(placeOf));
  return candidates.filter((finding) => !places.has(placeOf(finding)));
}

/** Orders statements by relevance, equal ones by place. */
export function byRelevance(a: Statement, b: Statement): number {
  if (a.score !== b.score) return b.score - a.score;
  return placeOf(a) < placeOf(b) ? -1 : 1;
}

function contrastAfter(match: Match, sentences: readonly Sentence[]): string {
  const index = sentences.findIndex(({ line, quote }) => line === match.line && quote === match.quote);
  const next = index === -1 ? undefined : sentences[index + 1];
  return next !== undefined && CONTRAST_AT_START.test(next.text) ? next.text : "";
}

function placeOf({ citation }: Statement): string {
  return `${citation.file}:${String(citation.line).padStart(8, "0")}:${citation.quote}`;
}

function reasonToReject(citation: Citation, text: string | undefined): string | null {
  if (text === undefined) return "the document is gone";
  const stands = extractSentences(text).some(
    ({ line, quote }) => line === citation.line && quote === citation.quote,
  );
  return stands ? null : "the document changed: the quote no longer stands at this line";
}
