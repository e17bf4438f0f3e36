/**
 * The detailed analysis: findings held against each other and against the question.
 *
 * Pure. Promises figures that can be checked by hand: counts, shared words, sums of strengths. Draws no conclusion.
 */
import { byRelevance, type Citation, type Finding } from "./findings.ts";
import { findTerms } from "./terms.ts";

/** How one side of the findings looks. */
export type Perspective = {
  readonly stance: "supports" | "doubts";
  readonly findingCount: number;
  /** Sum of the findings' strengths. */
  readonly strength: number;
  readonly files: readonly string[];
  readonly strongest: Finding | null;
};

/** Two findings that speak about the same things in opposite ways. */
export type Tension = {
  readonly supports: Finding;
  readonly doubts: Finding;
  readonly sharedWords: readonly string[];
};

/** Findings compared. */
export type Comparison = {
  /** Share of the supporting strength, 0 to 1, two decimals; null without findings. */
  readonly balance: number | null;
  /** The question's words with the number of findings that mention each. */
  readonly coverage: readonly { readonly word: string; readonly findingCount: number }[];
  readonly tensions: readonly Tension[];
};

/** A citation with the sentences around it. */
export type FindingContext = { readonly citation: Citation; readonly before: string; readonly after: string };

/** The comparison, and the surroundings of the strongest finding of each side. */
export type DetailedAnalysis = Comparison & { readonly contexts: readonly FindingContext[] };

const TENSION_MAX = 5;

/** Fewer shared words are coincidence. */
const SHARED_TERM_MIN = 3;

/** Looks at the findings from one side. */
export function takePerspective(findings: readonly Finding[], stance: "supports" | "doubts"): Perspective {
  const side = findings.filter((finding) => finding.stance === stance);
  return {
    stance,
    findingCount: side.length,
    strength: sumStrengths(side),
    files: [...new Set(side.map(({ citation }) => citation.file))].toSorted(),
    strongest: side.toSorted((a, b) => b.strength - a.strength || byRelevance(a, b))[0] ?? null,
  };
}

/** The strongest finding in support and the strongest in doubt, as far as there are any. */
export function strongestOfEachSide(findings: readonly Finding[]): readonly Finding[] {
  const sides = (["supports", "doubts"] as const).map(
    (stance) => takePerspective(findings, stance).strongest,
  );
  return sides.filter((finding) => finding !== null);
}

/** Compares the two sides of the findings. */
export function compareFindings(question: string, findings: readonly Finding[]): Comparison {
  const supporting = findings.filter(({ stance }) => stance === "supports");
  const doubting = findings.filter(({ stance }) => stance === "doubts");
  const strength = sumStrengths(findings);
  return {
    balance: strength === 0 ? null : Math.round((sumStrengths(supporting) / strength) * 100) / 100,
    coverage: [...findTerms(question)].map(([term, word]) => ({
      word,
      findingCount: findings.filter(({ claim }) => findTerms(claim).has(term)).length,
    })),
    tensions: findTensions(supporting, doubting),
  };
}

function findTensions(supporting: readonly Finding[], doubting: readonly Finding[]): readonly Tension[] {
  const tensions: Tension[] = [];
  for (const supports of supporting) {
    const terms = findTerms(supports.claim);
    for (const doubts of doubting) {
      const shared = [...findTerms(doubts.claim)].filter(([term]) => terms.has(term));
      if (shared.length < SHARED_TERM_MIN) continue;
      tensions.push({ supports, doubts, sharedWords: shared.map(([, word]) => word) });
    }
  }
  return tensions.toSorted((a, b) => b.sharedWords.length - a.sharedWords.length).slice(0, TENSION_MAX);
}

function sumStrengths(findings: readonly Finding[]): number {
  return findings.reduce((sum, { strength }) => sum + strength, 0);
}
