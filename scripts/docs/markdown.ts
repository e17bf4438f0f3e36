/**
 * What the check of the docs needs to know of a Markdown file: its anchors, links, code blocks and inline code.
 *
 * Reads the Markdown that this project writes (fenced code, ATX headings, inline and reference links), with the line of
 * everything that it finds. Not a Markdown parser: no indented code, no HTML but `<a id="...">`. Reads no file.
 */

/** Something at a line, counted from 1. */
export interface Located<Value> {
  readonly value: Value;
  readonly line: number;
}

/** A fenced code block. */
export interface CodeBlock {
  /** The first word after the fence, such as `ts`; '' without one. */
  readonly language: string;
  readonly code: string;
  /** The line of its first line of code. */
  readonly line: number;
}

/** One file, read. */
export interface Markdown {
  /** What a link may name after `#`. */
  readonly anchors: ReadonlySet<string>;
  /** Targets as written. */
  readonly links: readonly Located<string>[];
  readonly blocks: readonly CodeBlock[];
  readonly inlineCode: readonly Located<string>[];
}

const FENCE = /^\s*(?<fence>`{3,}|~{3,})\s*(?<language>[\w-]*)/u;
const HEADING = /^#{1,6}\s+(?<title>.*?)\s*#*$/u;
const INLINE_CODE = /(?<ticks>`+)(?<code>.+?)\k<ticks>/gu;
const LINK = /!?\[(?:[^\]\\]|\\.)*\]\(\s*<?(?<target>[^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/gu;
const DEFINITION = /^\[[^\]]+\]:\s+<?(?<target>[^\s>]+)>?/u;
const ID = /<a\s+(?:id|name)="(?<id>[^"]+)"/gu;

/** Reads the text of a Markdown file. */
export function readMarkdown(text: string): Markdown {
  const { prose, blocks } = splitCode(text.split("\n"));
  const anchors = new Set<string>();
  const links: Located<string>[] = [];
  const inlineCode: Located<string>[] = [];
  for (const { value, line } of prose) {
    const title = HEADING.exec(value)?.groups?.["title"];
    if (title !== undefined) addAnchor(anchors, title);
    for (const { groups } of value.matchAll(ID)) anchors.add(groups?.["id"] ?? "");
    for (const { groups } of value.matchAll(INLINE_CODE))
      inlineCode.push({ value: groups?.["code"] ?? "", line });
    // A link's text may be code, its target is none: only the text between the ticks goes.
    const bare = value.replaceAll(INLINE_CODE, "code");
    for (const { groups } of bare.matchAll(LINK)) links.push({ value: groups?.["target"] ?? "", line });
    const definition = DEFINITION.exec(bare)?.groups?.["target"];
    if (definition !== undefined) links.push({ value: definition, line });
  }
  return { anchors, links, blocks, inlineCode };
}

/** The anchor that GitHub gives a heading, before it is numbered among equals. */
export function anchorOf(title: string): string {
  return title
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/gu, "$1")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/gu, "-");
}

function addAnchor(anchors: Set<string>, title: string): void {
  const anchor = anchorOf(title);
  let unique = anchor;
  for (let number = 1; anchors.has(unique); number += 1) unique = `${anchor}-${number}`;
  anchors.add(unique);
}

function splitCode(lines: readonly string[]): {
  readonly prose: readonly Located<string>[];
  readonly blocks: readonly CodeBlock[];
} {
  const prose: Located<string>[] = [];
  const blocks: CodeBlock[] = [];
  let open:
    | { readonly fence: string; readonly language: string; readonly line: number; code: string[] }
    | undefined;
  for (const [index, text] of lines.entries()) {
    const line = index + 1;
    const { fence = "", language = "" } = FENCE.exec(text)?.groups ?? {};
    if (open !== undefined) {
      if (fence.startsWith(open.fence) && language === "") {
        blocks.push({ language: open.language, code: open.code.join("\n"), line: open.line });
        open = undefined;
      } else open.code.push(text);
    } else if (fence !== "") open = { fence, language, line: line + 1, code: [] };
    else prose.push({ value: text, line });
  }
  return { prose, blocks };
}
