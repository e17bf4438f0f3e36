/**
 * Cron expressions in the words of the library that computes them.
 *
 * Promises that each expression which the kind Schedule takes has a meaning: a range may run over the end of its field
 * (`FRI-MON`, `22-2`), a single value with a step counts on to the end (`5/10`), and a step may be longer than its field.
 */

interface Field {
  readonly least: number;
  /** Of a range that runs over the end. */
  readonly most: number;
  readonly names: readonly string[];
}

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const FIELDS: readonly Field[] = [
  { least: 0, most: 59, names: [] },
  { least: 0, most: 23, names: [] },
  { least: 1, most: 31, names: [] },
  { least: 1, most: 12, names: MONTHS },
  { least: 0, most: 6, names: WEEKDAYS },
];

/**
 * Rewrites an expression so that croner reads it as the kind means it.
 *
 * @param expression - Five fields or a word such as `@daily`.
 * @returns Words as they are; fields with numbers only, and ranges that rise. A `*` stays one: the days of the month and
 *   the weekdays are joined by "or" unless one of them is `*`, and clock changes treat a `*` unlike a value.
 */
export function canonicalCron(expression: string): string {
  const fields = expression.split(" ");
  if (fields.length !== FIELDS.length) return expression;
  return FIELDS.map((field, index) => canonicalField(fields[index] ?? "*", field)).join(" ");
}

function canonicalField(text: string, field: Field): string {
  return text
    .split(",")
    .map((item) => canonicalItem(item, field))
    .join(",");
}

function canonicalItem(item: string, field: Field): string {
  const [span = "*", stepText] = item.split("/");
  const step = stepText === undefined ? 1 : Number(stepText);
  if (span === "*") {
    if (step === 1) return "*";
    return step > field.most - field.least ? `${field.least}` : `*/${step}`;
  }
  const [firstText = "", lastText] = span.split("-");
  const first = numberOf(firstText, field);
  // A single value with a step has an open end.
  const last =
    lastText === undefined ? (stepText === undefined ? first : field.most) : numberOf(lastText, field);
  return valuesOf({ first, last, step }, field).join(",");
}

function numberOf(text: string, field: Field): number {
  const name = field.names.indexOf(text);
  return name === -1 ? Number(text) : name + field.least;
}

/** The values of a range, also of one that runs over the end of its field, each once. Sunday's 7 is its 0. */
function valuesOf(
  { first, last, step }: { readonly first: number; readonly last: number; readonly step: number },
  field: Field,
): number[] {
  const size = field.most - field.least + 1;
  const end = first <= last ? last : last + size;
  const values = new Set<number>();
  for (let value = first; value <= end; value += step)
    values.add(((value - field.least) % size) + field.least);
  return [...values].sort((a, b) => a - b);
}
