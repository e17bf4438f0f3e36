/**
 * Sentences of a Markdown or plain text document, each with the line where it begins and the words as they stand there.
 *
 * Promises that every quote is found again in the same text at the same line. Leaves out code blocks, headings (kept as the
 * section's name), HTML comments, front matter and questions. Does not parse Markdown in full: what a reader would take for
 * a paragraph, a list item or a table cell is good enough.
 */
import { splitWords } from "./terms.ts";

/** One sentence and where it stands. */
export type Sentence = {
  /** The sentence without markup. */
  readonly text: string;
  /** The sentence as written, its white space folded. */
  readonly quote: string;
  /** 1-based line of the sentence's first word. */
  readonly line: number;
  /** Heading of the section, empty before the first. */
  readonly heading: string;
};

/** A paragraph, list item or table cell: text that begins at a line of the document. */
type Block = { readonly line: number; readonly heading: string; readonly source: string };

/** What one line of the document is. */
type LineKind = "blank" | "fence" | "heading" | "table" | "item" | "rule" | "text";

const WORDS_MIN = 4;
const WORDS_MAX = 80;

/** Abbreviations after which the segmenter sees the end of a sentence that is none. */
const ABBREVIATION_AT_END = /(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|Dr|Mr|Ms|No|Fig|Sec)\.)\s*$/;

const LIST_MARKER = /^\s*(?:[-*+]|\d+[.)])\s+/;

/** Images, links' brackets and targets, tags that prose uses, emphasis and code marks; names like `__proto__` stay whole. */
const INLINE_MARKUP = new RegExp(
  [
    String.raw`!\[[^\]]*\]\([^)]*\)`,
    String.raw`\]\([^)\s]*\)`,
    String.raw`\[(?=[^\]]*\]\()`,
    String.raw`</?(?:a|b|br|code|em|i|img|kbd|p|span|strong|sub|sup)\b[^>]*>`,
    String.raw`\*{1,3}(?=\S)|(?<=\S)\*{1,3}`,
    String.raw`(?<![\w_])_(?![_\s])|(?<![_\s])_(?![\w_])`,
    "`+",
  ].join("|"),
  "g",
);

/** Extracts the sentences of one document in reading order. */
export function extractSentences(document: string): readonly Sentence[] {
  return splitBlocks(document).flatMap(splitSentences).filter(isStatement);
}

function isStatement(sentence: Sentence): boolean {
  const wordCount = splitWords(sentence.text).length;
  return wordCount >= WORDS_MIN && wordCount <= WORDS_MAX && !/[?:]$/.test(sentence.text);
}

function splitBlocks(document: string): readonly Block[] {
  const blocks: Block[] = [];
  const open: { line: number; lines: string[] } = { line: 0, lines: [] };
  let heading = "";
  let insideFence = false;
  const close = (): void => {
    if (open.lines.length > 0) blocks.push({ line: open.line, heading, source: open.lines.join("\n") });
    open.lines = [];
  };
  for (const [index, text] of blankOut(document).split("\n").entries()) {
    const kind = kindOfLine(text);
    if (kind === "fence") insideFence = !insideFence;
    if (insideFence || kind !== "text") close();
    if (insideFence) continue;
    if (kind === "heading") heading = plainText(text.replace(/^#+\s*/, "")).text;
    if (kind === "table") blocks.push(...splitTableRow(text, index + 1, heading));
    if (kind === "text" || kind === "item") {
      if (open.lines.length === 0) open.line = index + 1;
      open.lines.push(text.replace(LIST_MARKER, ""));
    }
  }
  close();
  return blocks;
}

function kindOfLine(text: string): LineKind {
  if (/^\s*$/.test(text)) return "blank";
  if (/^\s*(?:```|~~~)/.test(text)) return "fence";
  if (/^#{1,6}\s/.test(text)) return "heading";
  if (/^\s*\|/.test(text)) return "table";
  if (/^\s*(?:[-=*_]\s*){3,}$/.test(text)) return "rule";
  if (LIST_MARKER.test(text)) return "item";
  return "text";
}

function splitTableRow(text: string, line: number, heading: string): readonly Block[] {
  const cells = text.split(/(?<!\\)\|/).map((cell) => cell.trim());
  return cells.filter((cell) => cell !== "").map((source) => ({ line, heading, source }));
}

/** Removes front matter, HTML comments, quotation bars and the headers of tables, but no line break: lines keep their numbers. */
function blankOut(document: string): string {
  const lineBreaksOnly = (removed: string): string => removed.replaceAll(/[^\n]/g, "");
  return document
    .replace(/^---\n[\s\S]*?\n---(?=\n|$)/, lineBreaksOnly)
    .replaceAll(/<!--[\s\S]*?-->/g, lineBreaksOnly)
    .replaceAll(/^(?:[ \t]*>)+/gm, "")
    .replaceAll(/^[ \t]*\|.*$(?=\n[ \t]*\|[-:| \t]+$)/gm, "");
}

function splitSentences(block: Block): readonly Sentence[] {
  const { text, segmentable, origins } = plainText(block.source);
  const sentences: Sentence[] = [];
  for (const { start, end } of sentenceRanges(segmentable)) {
    // From the character before the first word to the one after the last: markup around the sentence is part of its quote.
    const before = (origins[start - 1] ?? -1) + 1;
    const quoted = block.source.slice(before, origins[end] ?? block.source.length);
    const leadingBlanks = quoted.length - quoted.trimStart().length;
    sentences.push({
      text: text.slice(start, end).replaceAll(/\s+/g, " "),
      quote: quoted.trim().replaceAll(/\s+/g, " "),
      line: block.line + countLineBreaks(block.source.slice(0, before + leadingBlanks)),
      heading: block.heading,
    });
  }
  return sentences;
}

function sentenceRanges(text: string): readonly { start: number; end: number }[] {
  const ranges: { start: number; end: number }[] = [];
  let continues = false;
  for (const { segment, index } of new Intl.Segmenter("en", { granularity: "sentence" }).segment(text)) {
    const start = index + (segment.length - segment.trimStart().length);
    const end = index + segment.trimEnd().length;
    const previous = ranges.at(-1);
    if (continues && previous !== undefined) previous.end = end;
    else if (end > start) ranges.push({ start, end });
    continues = ABBREVIATION_AT_END.test(segment);
  }
  return ranges;
}

/** A text without its inline markup. */
type PlainText = {
  readonly text: string;
  /** The same for the segmenter, which sees no end of a sentence before a small letter: code begins with a capital here. */
  readonly segmentable: string;
  /** `origins[i]` is the place in the source that character i came from. */
  readonly origins: readonly number[];
};

function plainText(source: string): PlainText {
  const origins: number[] = [];
  let text = "";
  let segmentable = "";
  let kept = 0;
  const keep = (until: number, afterCodeMark: boolean): void => {
    const part = source.slice(kept, until).replaceAll("\n", " ");
    text += part;
    segmentable += afterCodeMark ? part.replace(/^[a-z]/, (letter) => letter.toUpperCase()) : part;
    for (; kept < until; kept += 1) origins.push(kept);
  };
  let previous = "";
  for (const match of source.matchAll(INLINE_MARKUP)) {
    keep(match.index, previous.startsWith("`"));
    kept = match.index + match[0].length;
    previous = match[0];
  }
  keep(source.length, previous.startsWith("`"));
  return { text, segmentable, origins };
}

function countLineBreaks(text: string): number {
  return text.split("\n").length - 1;
}
