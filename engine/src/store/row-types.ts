/**
 * How the text of a column becomes a JavaScript value.
 *
 * Promises the values that `pg` gives by default, whatever the application did with `pg.types.setTypeParser`: that
 * table is one per process, and an application that reads bigints as numbers must not change what the engine reads.
 * A type that is not listed stays text. Needs DateStyle ISO and bytea_output hex, which every session sets.
 */
import type { CustomTypesConfig } from "pg";

type Parser = (text: string) => unknown;

const parseInteger: Parser = (text) => Number.parseInt(text, 10);
const parseJson: Parser = (text) => JSON.parse(text) as unknown;
const keepText: Parser = (text) => text;

/** Parsers by type OID: SELECT typname, oid, typarray FROM pg_type. */
const PARSERS: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [16, (text) => text === "t"], // bool
  [17, parseBytes], // bytea
  [21, parseInteger], // int2
  [23, parseInteger], // int4
  [26, parseInteger], // oid
  [700, Number], // float4
  [701, Number], // float8
  [114, parseJson], // json
  [3802, parseJson], // jsonb
  [1184, parseTimestamp], // timestamptz
  [1185, (text) => parseArray(text, parseTimestamp)], // timestamptz[]
  [1000, (text) => parseArray(text, (element) => element === "t")], // bool[]
  [1005, (text) => parseArray(text, parseInteger)], // int2[]
  [1007, (text) => parseArray(text, parseInteger)], // int4[]
  [1016, (text) => parseArray(text, keepText)], // int8[]
  [1009, (text) => parseArray(text, keepText)], // text[]
  [1015, (text) => parseArray(text, keepText)], // varchar[]
  [2951, (text) => parseArray(text, keepText)], // uuid[]
  [199, (text) => parseArray(text, parseJson)], // json[]
  [3807, (text) => parseArray(text, parseJson)], // jsonb[]
]);

/** Given to every client as its `types`. int8 stays text: it does not fit a number. */
export const rowTypes: CustomTypesConfig = {
  getTypeParser: (oid: number): Parser => PARSERS.get(oid) ?? keepText,
};

function parseBytes(text: string): Buffer {
  return Buffer.from(text.slice("\\x".length), "hex");
}

/** `2026-11-22 02:55:00.123456+00`; also `infinity`, `-infinity` as numbers, the way `pg` reads them. */
function parseTimestamp(text: string): Date | number {
  if (text === "infinity") return Number.POSITIVE_INFINITY;
  if (text === "-infinity") return Number.NEGATIVE_INFINITY;
  const beforeChrist = text.endsWith(" BC");
  const iso = (beforeChrist ? text.slice(0, -" BC".length) : text).replace(" ", "T");
  const zoned = iso.replace(/([+-]\d{2})$/, "$1:00").replace(/(\.\d{3})\d+/, "$1");
  if (!beforeChrist && /^\d{4}-/.test(zoned)) return new Date(zoned);
  return parseFarDate(zoned, beforeChrist);
}

/** Years beyond 9999 and before Christ need the six-digit form of ISO 8601. */
function parseFarDate(iso: string, beforeChrist: boolean): Date {
  const dash = iso.indexOf("-");
  const year = Number.parseInt(iso.slice(0, dash), 10);
  const signed = beforeChrist ? 1 - year : year;
  const sign = signed < 0 ? "-" : "+";
  return new Date(`${sign}${String(Math.abs(signed)).padStart(6, "0")}${iso.slice(dash)}`);
}

/** One-dimensional arrays, the only ones that our statements return. */
function parseArray(text: string, parse: Parser): unknown[] {
  const values: unknown[] = [];
  let at = 1;
  while (at < text.length - 1) {
    if (text[at] === '"') {
      const [element, next] = readQuoted(text, at + 1);
      values.push(parse(element));
      at = next + 1;
    } else {
      const comma = text.indexOf(",", at);
      const end = comma === -1 ? text.length - 1 : comma;
      const element = text.slice(at, end);
      values.push(element === "NULL" ? null : parse(element));
      at = end + 1;
    }
  }
  return values;
}

/** Reads to the closing quote; returns the element and the index after that quote. */
function readQuoted(text: string, start: number): readonly [string, number] {
  let element = "";
  let from = start;
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === "\\") {
      element += text.slice(from, at);
      from = at + 1;
      at += 1;
    } else if (text[at] === '"') {
      return [element + text.slice(from, at), at + 1];
    }
  }
  return [element + text.slice(from), text.length];
}
