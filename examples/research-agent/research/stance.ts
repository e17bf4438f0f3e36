/**
 * Stance: does a sentence speak for the thing it is about, or does it doubt it?
 *
 * A lexicon of cues decides, nothing else: guarantees, measurements and harms that are ruled out speak for it; hedges, limits
 * and negations speak against it. Promises the same answer for the same sentence everywhere, and names the cues it saw.
 * It does not understand the sentence, and knows nothing about whether it is true. English only.
 */

/** Which way a sentence leans; `neutral` when no cue was seen or the cues are even. */
export type Stance = "supports" | "doubts" | "neutral";

/** The lexicon's verdict on one sentence. */
export type StanceJudgement = {
  readonly stance: Stance;
  /** Sum of the weights of the families seen: above 0 supports, below 0 doubts. */
  readonly weight: number;
  /** The words that decided, in the order of the lexicon. */
  readonly cues: readonly string[];
};

type CueFamily = { readonly name: string; readonly weight: number; readonly pattern: RegExp };

/**
 * Read from top to bottom; what a family took is not seen by the families below it. So "never lost" is a guarantee and its
 * "never" no negation, and "not guaranteed" is a doubt and its "guaranteed" no guarantee.
 */
const LEXICON: readonly CueFamily[] = [
  {
    name: "harm ruled out",
    weight: 2,
    pattern:
      /\b(?:never|not|no|nothing|none|cannot|can't|without|neither|nor)\b(?:\W+\w+){0,4}?\W+(?:los[est]\w*|lost|fail\w*|corrupt\w*|crash\w*|duplicat\w*|doubl\w*|skipp\w*|forg[eo]t\w*|break\w*|block\w*|harm\w*|leak\w*|twice)\b/g,
  },
  {
    name: "guarantee denied",
    weight: -2,
    pattern:
      /\b(?:not|no|never|cannot|can't|without|nothing|isn't|aren't|doesn't|don't)\b(?:\W+\w+){0,2}?\W+(?:guarante\w*|ensur\w*|support\w*|always|tested|proven|measured|safe\w*|durabl\w*|reliabl\w*|surviv\w*|recover\w*|kept|work(?:s|ed|ing)?|possible|available|yet)\b/g,
  },
  {
    name: "guarantee",
    weight: 2,
    pattern:
      /\b(?:always|guarante\w*|ensur\w*|(?:exactly|at least|at most) once|prove[ns]?|surviv\w*|durably|safe(?:ly)?|reliabl[ey]|atomic(?:ally)?|recover(?:s|ed)?|idempotent|(?<!non-)deterministic(?:ally)?)\b/g,
  },
  {
    name: "measurement",
    weight: 1,
    pattern:
      /\b(?:measured|benchmarked|tested)\b|\b\d[\d.,]*\s?(?:(?:ms|µs|s|seconds?|minutes?|percent|x|k|kb|mb|gb|kib|mib|gib|bytes?|rows|runs|steps|requests)\b|%)/g,
  },
  {
    name: "hedge",
    weight: -1,
    pattern:
      /\b(?:may|might|could|perhaps|probably|possibly|sometimes|usually|often|roughly|approximately|seems?|appears?|likely|unlikely|estimate[sd]?|assum(?:e|es|ed|ing)|hopefully)\b/g,
  },
  {
    name: "limit",
    weight: -1,
    pattern:
      /\b(?:only|at most|limit(?:s|ed)?|except|unless|until|beyond|too (?:large|long|many|deep|slow)|requires?|must not|refuse[sd]?|however|but|although|experimental|unsupported|missing|risk\w*|fail(?:s|ed|ure|ures)?|lost|loses?|slow(?:er|ly)?|cannot|can't)\b/g,
  },
  {
    name: "negation",
    weight: -1,
    pattern: /\b(?:not|no|never|none|nothing|neither|nor|without|\w+n't)\b/g,
  },
];

/** Judges one sentence by the lexicon. */
export function judgeStance(sentence: string): StanceJudgement {
  let rest = sentence.toLowerCase().replaceAll("’", "'");
  let weight = 0;
  const cues: string[] = [];
  for (const family of LEXICON) {
    const found = rest.match(family.pattern);
    if (found === null) continue;
    // Once a family, however often: ten figures in a sentence are no stronger a claim than one.
    weight += family.weight;
    cues.push(...found.map((words) => `${family.name}: ${words}`));
    rest = rest.replaceAll(family.pattern, (words) => " ".repeat(words.length));
  }
  return { stance: stanceOf(weight), weight, cues };
}

function stanceOf(weight: number): Stance {
  if (weight > 0) return "supports";
  if (weight < 0) return "doubts";
  return "neutral";
}
