/**
 * Words and terms: what of a text is compared when texts are searched and held against each other.
 *
 * A term is a word without its ending, so that "replays", "replayed" and "replaying" are one. A few suffix rules for English do that;
 * they are rough on purpose ("universe" and "university" stay apart, "leave" and "left" too) and the same everywhere.
 */

/** More terms of one text are not looked at: each costs one walk of the index. */
const TERM_MAX = 64;

const STOP_WORDS: ReadonlySet<string> = new Set(
  `a about after all also am an and another any anything are as at be because been before being both by can
  could did do does doing done during each ever every everything for from had has have having he her here
  his how i if in into is it its just many may me might more most much my nothing of on one or other our out
  over own same she should so some something still such than that the their them then there these they thing
  things this those through to too under up us use used uses using was we were what when where which while
  who whom why will with would yet you your`.split(/\s+/),
);

/** Splits text into lower-case words; digits count as words, markup and punctuation don't. */
export function splitWords(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+(?:['’][\p{L}]+)*/gu) ?? [];
}

/** The terms of a text, each with the first word that it was made from. */
export function findTerms(text: string): ReadonlyMap<string, string> {
  const terms = new Map<string, string>();
  for (const word of splitWords(text)) {
    const term = termOfWord(word);
    if (term !== null && !terms.has(term) && terms.size < TERM_MAX) terms.set(term, word);
  }
  return terms;
}

/** The term of one word; null when the word carries no meaning of its own. */
export function termOfWord(word: string): string | null {
  const lower = word.toLowerCase();
  if (lower.length < 2 || STOP_WORDS.has(lower)) return null;
  return withoutSilentE(withoutVerbEnding(withoutPlural(lower)));
}

function withoutPlural(word: string): string {
  if (/..[^ae]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  return /..[^us]s$/.test(word) ? word.slice(0, -1) : word;
}

function withoutVerbEnding(word: string): string {
  if (/..ied$/.test(word)) return `${word.slice(0, -3)}y`;
  const stem = word.replace(/(?:ed|ing)$/, "");
  // "thing", "need" and "used" have no verb before the ending.
  if (stem === word || stem.length < 3 || !/[aeiouy]/.test(stem)) return word;
  // "committed" doubles its last letter, "killed" and "passed" have two of their own.
  return stem.replace(/([^aeioulsz])\1$/, "$1");
}

function withoutSilentE(word: string): string {
  return word.length > 4 ? word.replace(/e$/, "") : word;
}
