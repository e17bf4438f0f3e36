/**
 * The figures and how they are shown. Judges each against its target; decides nothing by it.
 */

/** How a figure is judged. */
export interface Target {
  readonly text: string;
  readonly reached: boolean;
  /** How far off, as a share of the target; 0 when reached. */
  readonly missedBy: number;
}

/** One line of the table. */
export interface Figure {
  readonly workload: string;
  readonly figure: string;
  readonly unit: string;
  readonly raw?: number | undefined;
  readonly engine?: number | undefined;
  readonly dbos?: number | undefined;
  readonly target?: Target | undefined;
  /** Every repetition, in order. */
  readonly samples?: Readonly<Record<string, readonly number[]>> | undefined;
}

/** Collects figures and remarks. */
export interface Report {
  add(figure: Figure): void;
  /** A line below the table. */
  note(line: string): void;
  /** How busy others kept the machine during a repetition of a workload. */
  noise(workload: string, share: number | undefined): void;
}

/** `actual` must be at least `limit`. */
export function atLeast(text: string, actual: number, limit: number): Target {
  const reached = actual >= limit;
  return { text, reached, missedBy: reached ? 0 : (limit - actual) / limit };
}

/** `actual` must be at most `limit`. */
export function atMost(text: string, actual: number, limit: number): Target {
  const reached = actual <= limit;
  return { text, reached, missedBy: reached ? 0 : (actual - limit) / limit };
}

const HEAD = ["workload", "figure", "raw loop", "engine", "DBOS", "engine/raw", "target", "verdict"];

/** The table as text, columns aligned. */
export function formatTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.workload,
    `${figure.figure} [${figure.unit}]`,
    formatNumber(figure.raw),
    formatNumber(figure.engine),
    formatNumber(figure.dbos),
    formatRatio(figure),
    figure.target?.text ?? "",
    formatVerdict(figure.target),
  ]);
  const table = [HEAD, ...rows];
  const widths = HEAD.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`,
  );
  lines.splice(1, 0, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
  return lines.join("\n");
}

function formatRatio({ raw, engine }: Figure): string {
  if (raw === undefined || engine === undefined || raw === 0) return "";
  return (engine / raw).toFixed(2);
}

function formatVerdict(target: Target | undefined): string {
  if (target === undefined) return "";
  if (target.reached) return "reached";
  return Number.isFinite(target.missedBy)
    ? `missed by ${(target.missedBy * 100).toFixed(0)} %`
    : "not measured";
}

function formatNumber(value: number | undefined): string {
  if (value === undefined) return "";
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString("en-US");
  return Math.abs(value) >= 100
    ? value.toFixed(0)
    : Math.abs(value) >= 10
      ? value.toFixed(1)
      : value.toFixed(Math.abs(value) >= 0.1 ? 2 : 4);
}
