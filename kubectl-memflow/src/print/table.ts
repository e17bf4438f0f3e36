/** Plain columns, as kubectl prints them: three spaces between, headings in capitals, nothing behind the last. Pure. */

const GAP = "   ";

/**
 * Lays cells out.
 *
 * @param widths - Of an earlier part of the same table: columns get no narrower.
 */
export function layOut(
  rows: readonly (readonly string[])[],
  widths: readonly number[] = [],
): { readonly lines: readonly string[]; readonly widths: readonly number[] } {
  const wide = rows.reduce<readonly number[]>(
    (known, row) => row.map((cell, column) => Math.max(cell.length, known[column] ?? 0)),
    widths,
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(wide[column] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
  return { lines, widths: wide };
}
