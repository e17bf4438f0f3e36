/**
 * Finds links that lead nowhere: to a file that is not there, or to a heading that its file does not have.
 *
 * Follows relative links of Markdown files, and the mentions of `docs/*.md` in comments of sources. Addresses of other
 * sites are not asked.
 */
import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { readMarkdown } from "./markdown.ts";
import type { Markdown } from "./markdown.ts";

const HAS_SCHEME = /^[a-z][a-z0-9+.-]*:/iu;
const MENTION = /\bdocs\/[\w/-]+\.md(?:#[\w-]+)?/gu;
/** Lines of comments in TypeScript and SQL. */
const COMMENT = /^\s*(?:\/?\*|\/\/|--)/u;

/** Judges links against a tree of files. */
export class LinkChecker {
  readonly #root: string;
  readonly #read = new Map<string, Markdown>();

  /** @param root - The folder that paths are seen from. */
  constructor(root: string) {
    this.#root = root;
  }

  /** The file, read; read once. */
  markdown(file: string): Markdown {
    let markdown = this.#read.get(file);
    if (markdown === undefined) {
      markdown = readMarkdown(readFileSync(posix.join(this.#root, file), "utf8"));
      this.#read.set(file, markdown);
    }
    return markdown;
  }

  /** The faults of a Markdown file's links. */
  checkMarkdown(file: string): string[] {
    return this.markdown(file).links.flatMap(({ value, line }) => {
      if (HAS_SCHEME.test(value)) return [];
      const [path = "", anchor] = value.split("#", 2);
      const target = path === "" ? file : posix.join(posix.dirname(file), decodeURIComponent(path));
      return this.#check(`${file}:${line}`, target, anchor);
    });
  }

  /** The faults of a source's mentions of docs, which are seen from the root. */
  checkSource(file: string): string[] {
    const text = readFileSync(posix.join(this.#root, file), "utf8");
    return text.split("\n").flatMap((line, index) => {
      const mentions = COMMENT.test(line) ? [...line.matchAll(MENTION)] : [];
      return mentions.flatMap(([mention]) => {
        const [path = "", anchor] = mention.split("#", 2);
        return this.#check(`${file}:${index + 1}`, path, anchor);
      });
    });
  }

  #check(place: string, target: string, anchor: string | undefined): string[] {
    if (target.startsWith("../")) return [`${place}: ${target} is outside the workspace; name a file inside`];
    if (!existsSync(posix.join(this.#root, target))) {
      return [`${place}: ${target} does not exist; correct the link`];
    }
    if (anchor === undefined || !target.endsWith(".md") || this.markdown(target).anchors.has(anchor))
      return [];
    return [`${place}: ${target} has no heading for #${anchor}; correct the link`];
  }
}
