/**
 * Tables in Markdown, as the formatter of this workspace writes them, and the regions of a page that are made.
 */

/** A row of cells. */
export type Row = readonly string[];

/**
 * Writes a table.
 *
 * @param head - Names of the columns; one that begins with ">" is aligned to the right.
 */
export function markdownTable(head: Row, rows: readonly Row[]): string {
  const right = head.map((name) => name.startsWith(">"));
  const names = head.map((name) => name.replace(/^>/u, ""));
  const widths = names.map((name, column) =>
    Math.max(3, ...[names, ...rows].map((row) => row[column]?.length ?? 0), name.length),
  );
  const line = (row: Row): string =>
    `| ${widths.map((width, column) => pad(row[column] ?? "", width, right[column] === true)).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    right[column] === true ? `${"-".repeat(width - 1)}:` : "-".repeat(width),
  );
  return [line(names), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}

/**
 * Puts made text into the regions of a page.
 *
 * @param page - With a pair of comments, `<!-- made: NAME -->` and `<!-- end -->`, for each region.
 * @param regions - Text by name.
 * @throws {Error} When the page lacks a region, or has one that nobody makes.
 */
export function fillRegions(page: string, regions: ReadonlyMap<string, string>): string {
  const missing = new Set(regions.keys());
  const filled = page.replaceAll(
    /(<!-- made: ([\w-]+) -->\n).*?(<!-- end -->)/gsu,
    (_whole, begin: string, name: string, end: string) => {
      const text = regions.get(name);
      if (text === undefined) throw new Error(`the page has a region "${name}" that nobody makes; remove it`);
      missing.delete(name);
      return `${begin}\n${text}\n\n${end}`;
    },
  );
  if (missing.size > 0) throw new Error(`the page lacks the regions ${[...missing].join(", ")}; add them`);
  return filled;
}

function pad(text: string, width: number, right: boolean): string {
  return right ? text.padStart(width) : text.padEnd(width);
}
