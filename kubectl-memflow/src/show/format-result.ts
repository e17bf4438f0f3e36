/**
 * Writes a run's result for a person: any JSON value as indented lines, citations as `file:line`.
 *
 * Pure. An object with `file`, `line` and `quote` is a citation wherever it stands. In a list of objects the first text of
 * each entry is its headline and its other short values follow on one line. Long lists are cut, and say so.
 */

/** How to write. */
export interface ResultStyle {
  readonly columns: number;
  /** Paints a field's name. */
  readonly name: (text: string) => string;
  /** Paints what stands beside the point. */
  readonly note: (text: string) => string;
}

/** A line before it is wrapped: what begins it, and whether it is beside the point. */
interface Line {
  readonly indent: number;
  readonly label?: string;
  readonly text: string;
  readonly isNote?: boolean;
}

/** A place in a document and its words. */
interface Citation {
  readonly file: string;
  readonly line: number;
  readonly quote: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

const ENTRY_MAX = 50;
/** An entry of at most this length stands on one line. */
const SHORT_ENTRY_CHARACTERS = 60;
const INDENT = 2;
const WIDTH_MIN = 40;

/** The lines of a result. */
export function formatResult(result: unknown, style: ResultStyle): string[] {
  return describeValue(result, 0).flatMap((line) => wrapLine(line, style));
}

function describeValue(value: unknown, indent: number): Line[] {
  if (Array.isArray(value)) return describeList(value, indent);
  if (!isObject(value)) return [{ indent, text: value === undefined ? "(no result)" : scalarText(value) }];
  // What fits on a line comes first; who reads on finds the rest below.
  const fields = Object.entries(value);
  const isShort = ([, field]: readonly [string, unknown]): boolean => isScalar(field);
  const ordered = [...fields.filter(isShort), ...fields.filter((field) => !isShort(field))];
  return ordered.flatMap(([key, field]) => describeField(key, field, indent));
}

function describeField(key: string, value: unknown, indent: number): Line[] {
  const inner = indent + INDENT;
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) {
    if (value.every(isScalar)) return [{ indent, label: `${key}:`, text: scalarList(value) }];
    return [{ indent, label: `${key} (${value.length}):`, text: "" }, ...describeList(value, inner)];
  }
  if (isCitation(value) || isStatement(value)) return describeEntry(value, indent, `${key}:`);
  if (isObject(value)) return [{ indent, label: `${key}:`, text: "" }, ...describeValue(value, inner)];
  return [{ indent, label: `${key}:`, text: scalarText(value) }];
}

function describeList(list: readonly unknown[], indent: number): Line[] {
  const lines = list.slice(0, ENTRY_MAX).flatMap((entry) => describeEntry(entry, indent, "-"));
  const left = list.length - ENTRY_MAX;
  return left > 0 ? [...lines, { indent, text: `and ${left} more`, isNote: true }] : lines;
}

/** A headline, what is short about it on one line, its quote where it says more, and the rest below. */
function describeEntry(entry: unknown, indent: number, label: string): Line[] {
  const inner = indent + INDENT;
  if (isCitation(entry)) {
    return [
      { indent, label, text: placeOf(entry) },
      { indent: inner, text: `"${entry.quote}"`, isNote: true },
    ];
  }
  if (!isObject(entry))
    return [{ indent, label, text: isScalar(entry) ? scalarText(entry) : JSON.stringify(entry) }];
  const fields = Object.entries(entry).filter(([, value]) => value !== null && value !== undefined);
  const [headKey, headline] = fields.find(([, value]) => typeof value === "string" && value !== "") ?? [
    "",
    "",
  ];
  const rest = fields.filter(([key, value]) => key !== headKey && value !== "");
  const asides = rest.flatMap(([key, value]) => {
    if (isCitation(value)) return [placeOf(value)];
    return isScalar(value) ? [`${key} ${scalarText(value)}`] : [];
  });
  const nested = rest.filter(([, value]) => !isScalar(value) && !isCitation(value));
  return [
    ...headOf(scalarText(headline), asides.join(" · "), { indent, label }),
    ...quotesOf(rest, headline).map((quote) => ({ indent: inner, text: `"${quote}"`, isNote: true })),
    ...nested.flatMap(([key, value]) => describeField(key, value, inner)),
  ];
}

function headOf(
  headline: string,
  aside: string,
  place: { readonly indent: number; readonly label: string },
): Line[] {
  if (aside === "") return [{ ...place, text: headline }];
  if (headline === "") return [{ ...place, text: aside }];
  if (headline.length + aside.length <= SHORT_ENTRY_CHARACTERS)
    return [{ ...place, text: `${headline} · ${aside}` }];
  return [
    { ...place, text: headline },
    { indent: place.indent + INDENT, text: aside, isNote: true },
  ];
}

/** The quotes among the fields, without one that only repeats the headline with its marks. */
function quotesOf(fields: readonly (readonly [string, unknown])[], headline: unknown): string[] {
  const bare = (text: string): string => text.replaceAll(/[^\p{L}\p{N}]+/gu, " ").trim();
  return fields.flatMap(([, value]) => {
    if (!isCitation(value)) return [];
    return bare(value.quote) === bare(scalarText(headline)) ? [] : [value.quote];
  });
}

/** Breaks at spaces; what follows hangs below the text. A word that is too long stays whole: it may be a path. */
function wrapLine(line: Line, style: ResultStyle): string[] {
  const pad = " ".repeat(line.indent);
  const label = line.label ?? "";
  const hang = line.label === undefined ? pad : pad + " ".repeat(INDENT);
  const width = Math.max(WIDTH_MIN, style.columns);
  const lines: string[] = [];
  let current = pad + label;
  for (const word of line.text.split(/\s+/u).filter((one) => one !== "")) {
    const joint = current.trim() === "" ? "" : " ";
    if (joint !== "" && current.length + joint.length + word.length > width) {
      lines.push(current);
      current = hang + word;
    } else {
      current += joint + word;
    }
  }
  lines.push(current);
  return lines.map((text, index) =>
    paintLine(text, index === 0 ? pad.length + label.length : 0, { line, style }),
  );
}

function paintLine(
  text: string,
  labelEnd: number,
  look: { readonly line: Line; readonly style: ResultStyle },
): string {
  if (look.line.isNote === true) return look.style.note(text);
  return labelEnd === 0 ? text : look.style.name(text.slice(0, labelEnd)) + text.slice(labelEnd);
}

function scalarList(list: readonly unknown[]): string {
  if (list.length === 0) return "none";
  const left = list.length - ENTRY_MAX;
  const shown = list.slice(0, ENTRY_MAX).map(scalarText).join(", ");
  return left > 0 ? `${shown} and ${left} more` : shown;
}

function scalarText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function placeOf(citation: Citation): string {
  return `${citation.file}:${citation.line}`;
}

function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCitation(value: unknown): value is Citation {
  if (!isObject(value)) return false;
  const { file, line, quote } = value;
  return typeof file === "string" && typeof line === "number" && typeof quote === "string";
}

/** An object that cites: what it says is its first text. */
function isStatement(value: unknown): boolean {
  return isObject(value) && Object.values(value).some(isCitation);
}
