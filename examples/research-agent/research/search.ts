/**
 * Full-text search over sentences: a question in, the sentences that share its words out, best first.
 *
 * Scores are BM25+ as MiniSearch computes them, over the sentence and, with less weight, its section's heading. Promises the
 * same order for the same documents everywhere. The index lives for one search: building it takes milliseconds, while an
 * index as a step's outcome would be megabytes in the run's history.
 */
import MiniSearch from "minisearch";
import type { Sentence } from "./sentences.ts";
import { findTerms, splitWords, termOfWord } from "./terms.ts";

/** A sentence and the document that it stands in. */
export type PlacedSentence = Sentence & { readonly file: string };

/** A sentence that answers to the question. */
export type Match = PlacedSentence & {
  /** BM25+ relevance, two decimals; comparable within one search only. */
  readonly score: number;
  /** The question's words that the sentence or its heading holds. */
  readonly terms: readonly string[];
};

/** What to search for. */
export type SearchOptions = {
  readonly question: string;
  /** Matches returned, at least 1. */
  readonly matchMax: number;
};

type IndexedSentence = PlacedSentence & { readonly id: number };

/** Sentences indexed before other work of the process gets a turn. */
const INDEX_CHUNK_SIZE = 500;

/** A sentence counts when it shares this many of the question's terms (or all, if the question has fewer). */
const SHARED_TERM_MIN = 2;

/** What scores below this share of the best match shares little more than common words with the question. */
const BEST_SCORE_SHARE_MIN = 0.25;

/** Finds the sentences that answer to a question; equal sentences count once, where they stand first. */
export async function searchSentences(
  sentences: readonly PlacedSentence[],
  options: SearchOptions,
): Promise<readonly Match[]> {
  const matches = await rankSentences(distinct(sentences), findTerms(options.question));
  return matches.slice(0, options.matchMax);
}

async function rankSentences(
  sentences: readonly IndexedSentence[],
  terms: ReadonlyMap<string, string>,
): Promise<readonly Match[]> {
  const index = new MiniSearch<IndexedSentence>({
    fields: ["text", "heading"],
    tokenize: (text) => [...splitWords(text)],
    processTerm: termOfWord,
  });
  await index.addAllAsync(sentences, { chunkSize: INDEX_CHUNK_SIZE });
  const hits = index.search([...terms.values()].join(" "), {
    boost: { text: 2, heading: 1 },
    // "determin" of "deterministic" finds "determinism"; short words would find too much.
    prefix: (term) => term.length > 3,
  });
  const scoreMin = (hits[0]?.score ?? 0) * BEST_SCORE_SHARE_MIN;
  return hits
    .filter(({ score }) => score >= scoreMin)
    .flatMap((hit) => {
      const sentence = sentences[Number(hit.id)];
      const shared = [...new Set(hit.queryTerms)].map((term) => terms.get(term) ?? term);
      if (sentence === undefined || shared.length < Math.min(SHARED_TERM_MIN, terms.size)) return [];
      const { id: _, ...match } = sentence;
      return [{ ...match, score: roundScore(hit.score), terms: shared }];
    })
    .toSorted(byScoreThenPlace);
}

function distinct(sentences: readonly PlacedSentence[]): readonly IndexedSentence[] {
  const byText = new Map<string, PlacedSentence>();
  for (const sentence of sentences) {
    const key = sentence.text.toLowerCase();
    if (!byText.has(key)) byText.set(key, sentence);
  }
  return [...byText.values()].map((sentence, id) => ({ ...sentence, id }));
}

function byScoreThenPlace(a: Match, b: Match): number {
  if (a.score !== b.score) return b.score - a.score;
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line;
}

function roundScore(score: number): number {
  return Math.round(score * 100) / 100;
}
