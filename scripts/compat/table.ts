/**
 * Reads the tables of the page on MemFlow's compatibility, in which each row names the tests that prove it.
 *
 * A row is `| what | HotMesh | MemFlow | tests |`. Its id is the first cell. The third cell begins with the verdict. The
 * last holds tests as inline code, `file > full title`, one after the other with `<br>` between. Tables of another head
 * are prose and are passed over. Throws nothing: what is wrong with a row is among its faults. Reads no file.
 */

/** `same` and `differs` need tests; `later` names its reason instead; `missing` is never in order. */
export type Verdict = "same" | "differs" | "later" | "missing";

/** One row, with what is wrong with it as it stands there. */
export interface CompatRow {
  readonly id: string;
  /** Counted from 1. */
  readonly line: number;
  readonly verdict: Verdict | undefined;
  /** As `file > full title`. */
  readonly tests: readonly string[];
  readonly faults: readonly string[];
}

const HEAD: readonly string[] = ["what", "HotMesh", "MemFlow", "tests"];
const VERDICT = /^(?<verdict>same|differs|later|missing)\b[:,.;]?\s*(?<why>.*)$/u;
const INLINE_CODE = /^(?<ticks>`+) ?(?<code>.+?) ?\k<ticks>$/u;
/** A cell ends at a bar that no backslash precedes. */
const BAR = /(?<!\\)\|/u;

/** All rows of all tables, in the order of the page. */
export function readCompatTable(markdown: string): readonly CompatRow[] {
  const rows: CompatRow[] = [];
  const lineOfId = new Map<string, number>();
  let inTable = false;
  for (const [index, text] of markdown.split("\n").entries()) {
    const cells = cellsOf(text);
    if (cells === undefined) inTable = false;
    else if (cells.join() === HEAD.join()) inTable = true;
    else if (inTable && !isRule(cells)) {
      const row = rowOf(cells, index + 1);
      const before = lineOfId.get(row.id);
      const faults = before === undefined ? [] : [`is the row of line ${before} once more`];
      lineOfId.set(row.id, row.line);
      rows.push({ ...row, faults: [...row.faults, ...faults] });
    }
  }
  return rows;
}

/** The cells of a table's line; undefined for a line that is none. */
function cellsOf(line: string): readonly string[] | undefined {
  const text = line.trim();
  if (!text.startsWith("|")) return undefined;
  const cells = text.split(BAR).slice(1);
  if (text.endsWith("|") && !text.endsWith("\\|")) cells.pop();
  return cells.map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function isRule(cells: readonly string[]): boolean {
  return cells.every((cell) => /^:?-+:?$/u.test(cell));
}

function rowOf(cells: readonly string[], line: number): CompatRow {
  const [id = "", hotmesh = "", memflow = "", last = ""] = cells;
  const faults: string[] = [];
  if (cells.length !== HEAD.length) faults.push(`has ${cells.length} cells, not ${HEAD.length}`);
  if (id === "") faults.push("has no id");
  if (hotmesh === "") faults.push("does not say what HotMesh does");
  const { verdict, why } = VERDICT.exec(memflow)?.groups ?? {};
  if (verdict === undefined) faults.push("does not begin with same, differs, later or missing");
  else if (verdict !== "same" && why === "") faults.push(`says "${verdict}" and not why`);
  const parts = last === "" ? [] : last.split("<br>").map((part) => part.trim());
  const tests = parts.map((part) => INLINE_CODE.exec(part)?.groups?.["code"] ?? "");
  if (tests.includes("")) faults.push("holds something else than tests as inline code in its last cell");
  if ((verdict === "same" || verdict === "differs") && tests.length === 0) faults.push("names no test");
  if (verdict === "missing") faults.push("is missing");
  return { id, line, verdict: verdict as Verdict | undefined, tests: tests.filter(Boolean), faults };
}
