/** Binary arrays: what goes in comes back from a real Postgres. */
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { testSource } from "../testing/test-database.ts";
import {
  boolArray,
  int2Array,
  int4Array,
  int8Array,
  jsonArray,
  jsonbArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from "./binary-arrays.ts";
import { Session } from "./session.ts";

const session = new Session({ source: testSource(), purpose: "test" });
afterAll(() => session.close());

const ELEMENTS_MAX = 10_000;
const ROUND_TRIPS = { numRuns: 50 };

/** What Postgres makes of the array: its length and each element's text, in order. */
async function readBack(type: string, array: Buffer): Promise<(string | null)[]> {
  const { rows } = await session.query<{ elements: (string | null)[] }>({
    text: `
      select coalesce(array_agg(element::text order by place), '{}') as elements
      from unnest($1::${type}[]) with ordinality as list(element, place)`,
    values: [array],
  });
  return rows[0]?.elements ?? [];
}

/** Every character that Postgres takes: all of unicode but NUL and halves of surrogate pairs. */
const anyText = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0"));
const anyTexts = fc.array(fc.option(anyText, { nil: null }));

test("any texts and nulls come back as they were", async () => {
  await fc.assert(
    fc.asyncProperty(anyTexts, async (values) => {
      expect(await readBack("text", textArray(values))).toEqual(values);
    }),
    ROUND_TRIPS,
  );
});

test("texts that look like array syntax, escapes or nulls come back as they were", async () => {
  const values = [
    "",
    " ",
    "null",
    "NULL",
    "{}",
    '{"a"}',
    '"',
    "\\",
    "\\x00",
    ",",
    "'",
    "\n\r\t",
    "\u{1f600}",
    "ü€",
    null,
  ];
  expect(await readBack("text", textArray(values))).toEqual(values);
});

test("any JSON comes back with its text in json and its value in jsonb", async () => {
  const anyJson = fc
    .jsonValue({ stringUnit: "binary" })
    .filter((value) => !JSON.stringify(value).includes("\\u0000"));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(anyJson, { nil: undefined })), async (values) => {
      const texts = values.map((value) => (value === undefined ? null : JSON.stringify(value)));
      expect(await readBack("json", jsonArray(texts))).toEqual(texts);
      const documents = await readBack("jsonb", jsonbArray(texts));
      const { rows } = await session.query({
        text: "select bool_and(mine is not distinct from theirs::jsonb) as same from unnest($1::jsonb[], $2::text[]) as pair(mine, theirs)",
        values: [jsonbArray(texts), textArray(texts)],
      });
      expect(rows[0]?.["same"] ?? true).toBe(true);
      expect(documents.length).toBe(texts.length);
    }),
    ROUND_TRIPS,
  );
});

test("any uuids and nulls come back, upper case as lower case", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(fc.uuid(), { nil: null })), async (values) => {
      expect(await readBack("uuid", uuidArray(values))).toEqual(values);
      const upper = values.map((value) => value?.toUpperCase() ?? null);
      expect(await readBack("uuid", uuidArray(upper))).toEqual(values);
    }),
    ROUND_TRIPS,
  );
});

test.each([
  ["", "too short"],
  ["0123456789abcdef0123456789abcdef", "no dashes"],
  ["01234567-89ab-cdef-0123-456789abcdeg", "a letter beyond f"],
  ["01234567-89ab-cdef-0123-456789abcde\u0130", "a wide character"],
  ["01234567089ab-cdef-0123-456789abcdef", "a digit for a dash"],
  ["{1234567-89ab-cdef-0123-456789abcdef", "a brace"],
])("%j is refused as a uuid: %s", (value) => {
  expect(() => uuidArray([value])).toThrow(RangeError);
});

test("any integers of each size come back, extremes and nulls included", async () => {
  const small = fc.integer({ min: -32_768, max: 32_767 });
  const middle = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });
  const large = fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
  const listOf = <Value>(value: fc.Arbitrary<Value>) => fc.array(fc.option(value, { nil: null }));
  await fc.assert(
    fc.asyncProperty(listOf(small), listOf(middle), listOf(large), async (int2s, int4s, int8s) => {
      expect(await readBack("int2", int2Array(int2s))).toEqual(int2s.map(toText));
      expect(await readBack("int4", int4Array(int4s))).toEqual(int4s.map(toText));
      expect(await readBack("int8", int8Array(int8s))).toEqual(int8s.map(toText));
    }),
    ROUND_TRIPS,
  );
  const extremes = [
    Number.MIN_SAFE_INTEGER,
    -1,
    -0,
    0,
    Number.MAX_SAFE_INTEGER,
    2 ** 32,
    -(2 ** 32),
    -(2n ** 63n),
  ];
  expect(await readBack("int8", int8Array(extremes))).toEqual(extremes.map(toText));
});

test("a number that is no integer, or does not fit, is refused", () => {
  expect(() => int4Array([1.5])).toThrow(RangeError);
  expect(() => int4Array([Number.NaN])).toThrow(RangeError);
  expect(() => int4Array([2_147_483_648])).toThrow(RangeError);
  expect(() => int2Array([32_768])).toThrow(RangeError);
  expect(() => int8Array([2 ** 53])).toThrow(RangeError);
  expect(() => int8Array([2n ** 63n])).toThrow(RangeError);
});

test("booleans and nulls come back", async () => {
  const values = [true, false, null, true];
  expect(await readBack("boolean", boolArray(values))).toEqual(["true", "false", null, "true"]);
});

test("times come back to the millisecond, also before 1970 and far away, infinity as infinity", async () => {
  const readMs = async (values: readonly (number | null)[]): Promise<(number | null)[]> => {
    const { rows } = await session.query<{ ms: (number | null)[] }>({
      text: `
        select coalesce(json_agg((extract(epoch from at) * 1000)::float8 order by place), '[]') as ms
        from unnest($1::timestamptz[]) with ordinality as list(at, place)`,
      values: [timestamptzArray(values)],
    });
    return rows[0]?.ms ?? [];
  };
  const anyTime = fc.date({ min: new Date("1750-01-01"), max: new Date("2250-01-01"), noInvalidDate: true });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(anyTime, { nil: null })), async (dates) => {
      const values = dates.map((date) => date?.getTime() ?? null);
      expect(await readMs(values)).toEqual(values);
    }),
    ROUND_TRIPS,
  );
  const infinite = await readBack(
    "timestamptz",
    timestamptzArray([Infinity, -Infinity, 0, 946_684_800_000.001]),
  );
  expect(infinite).toEqual([
    "infinity",
    "-infinity",
    "1970-01-01 00:00:00+00",
    "2000-01-01 00:00:00.000001+00",
  ]);
  expect(() => timestamptzArray([Number.NaN])).toThrow(RangeError);
  expect(() => timestamptzArray([1e16])).toThrow(RangeError);
});

test.each<[string, (values: readonly null[]) => Buffer]>([
  ["uuid", uuidArray],
  ["text", textArray],
  ["json", jsonArray],
  ["jsonb", jsonbArray],
  ["int2", int2Array],
  ["int4", int4Array],
  ["int8", int8Array],
  ["boolean", boolArray],
  ["timestamptz", timestamptzArray],
])("an empty array and one of nulls alone are just that, as %s[]", async (type, encode) => {
  expect(await readBack(type, encode([]))).toEqual([]);
  expect(await readBack(type, encode([null, null]))).toEqual([null, null]);
  const { rows } = await session.query({ text: `select $1::${type}[]::text as empty`, values: [encode([])] });
  expect(rows).toEqual([{ empty: "{}" }]);
});

test("ten thousand elements of each kind come back in order", async () => {
  const indexes = Array.from({ length: ELEMENTS_MAX }, (_unused, index) => index);
  const texts = indexes.map((index) => (index % 7 === 0 ? null : `${"ü".repeat(index % 50)}${index}`));
  const uuids = indexes.map(() => randomUUID());
  expect(await readBack("text", textArray(texts))).toEqual(texts);
  expect(await readBack("uuid", uuidArray(uuids))).toEqual(uuids);
  expect(await readBack("int8", int8Array(indexes))).toEqual(indexes.map(String));
});

test("a NUL in a text is refused by Postgres as data, and the connection stays", async () => {
  const pid = session.backendPid;
  await expect(readBack("text", textArray(["a\0b"]))).rejects.toMatchObject({ code: "22021" });
  expect(session.backendPid).toBe(pid);
});

function toText(value: bigint | number | null): string | null {
  return value === null ? null : BigInt(value).toString();
}
