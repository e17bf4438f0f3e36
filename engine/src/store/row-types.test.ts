/** Row types: the values that pg gives by default, whatever the application changed. */
import fc from "fast-check";
import pg from "pg";
import { afterAll, expect, test } from "vitest";
import { testDatabaseUrl, testSource } from "../testing/test-database.ts";
import { textArray } from "./binary-arrays.ts";
import { Session } from "./session.ts";

const session = new Session({ source: testSource(), purpose: "test" });
afterAll(() => session.close());

async function read(expression: string, values: readonly unknown[] = []): Promise<unknown> {
  const { rows } = await session.query<{ value: unknown }>({ text: `select ${expression} as value`, values });
  return rows[0]?.value;
}

/** One value or more of every type that our statements return. */
const EXPRESSIONS = [
  "true",
  "false",
  "null::text",
  "7::int2",
  "(-2147483648)::int4",
  "9223372036854775807::int8",
  "1.5::float4",
  "'NaN'::float8",
  "'-Infinity'::float8",
  "pg_backend_pid() * 0",
  "'\\x00ff7f'::bytea",
  "''::bytea",
  `'{"a": [1, "ü", null]}'::json`,
  "'\"text\"'::jsonb",
  "'null'::jsonb",
  "'0189a3b4-0000-7000-8000-00000000000a'::uuid",
  "'2026-11-22 02:55:00.123456+00'::timestamptz",
  "'2026-11-22 02:55:00+00'::timestamptz",
  "'0044-03-15 12:00:00+00 BC'::timestamptz",
  "'0001-01-01 00:00:00+00'::timestamptz",
  "'12345-06-07 08:09:10+00'::timestamptz",
  "'infinity'::timestamptz",
  "'-infinity'::timestamptz",
  "array[true, null, false]",
  "array[1, null, -3]::int2[]",
  "array[1, null, -3]::int4[]",
  "array[1, null, -3]::int8[]",
  "'{}'::text[]",
  `array['a', null, 'NULL', '', ' ', '{"', '\\', ',', 'ü']`,
  "array['0189a3b4-0000-7000-8000-00000000000a']::uuid[]",
  `array['{"a": 1}', null]::json[]`,
  `array['[1, 2]', null]::jsonb[]`,
  "array['2026-11-22 02:55:00.123+00', null]::timestamptz[]",
  "12.50::numeric",
];

test.each(EXPRESSIONS)("%s reads as pg reads it by default", async (expression) => {
  const client = new pg.Client(testDatabaseUrl());
  await client.connect();
  try {
    await client.query("set timezone = 'UTC'");
    const { rows } = await client.query<{ value: unknown }>(`select ${expression} as value`);
    expect(await read(expression)).toStrictEqual(rows[0]?.value);
  } finally {
    await client.end();
  }
});

test("what the application does with pg.types changes nothing", async () => {
  const types = pg.types.builtins;
  const changed = [types.INT8, types.JSON, types.TIMESTAMPTZ, types.BOOL];
  const before = changed.map((oid) => pg.types.getTypeParser(oid));
  try {
    for (const oid of changed) pg.types.setTypeParser(oid, () => "changed");
    expect(await read("7::int8")).toBe("7");
    expect(await read("'{}'::json")).toEqual({});
    expect(await read("true")).toBe(true);
    expect(await read("'2026-11-22 00:00:00+00'::timestamptz")).toEqual(new Date("2026-11-22"));
  } finally {
    changed.forEach((oid, index) => pg.types.setTypeParser(oid, before[index] ?? String));
  }
});

test("any array of texts is read as it was sent", async () => {
  const anyText = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0"));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(anyText, { nil: null })), async (values) => {
      expect(await read("$1::text[]", [textArray(values)])).toEqual(values);
    }),
    { numRuns: 50 },
  );
});
