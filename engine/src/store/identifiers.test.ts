/** Names: what Postgres takes is taken, and no two channels meet. */
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { SchemaError } from "../core/errors.ts";
import { testSource, uniqueName } from "../testing/test-database.ts";
import { assertSchemaName, channelName, IDENTIFIER_BYTES_MAX, quoteIdentifier } from "./identifiers.ts";
import { Session } from "./session.ts";

const session = new Session({ source: testSource(), purpose: "test" });
afterAll(() => session.close());

test.each([
  "memflow",
  "Upper Case",
  "with-dash.and.dot",
  `quotes " ' and \\ and $$`,
  "ünïcödé_\u{1f600}",
  "a".repeat(IDENTIFIER_BYTES_MAX),
  "select",
  "pgboss",
  " ",
])("%j is a schema name, and Postgres keeps it exactly", async (name) => {
  assertSchemaName(name);
  // Others may use the same plain name at the same time: it is made, looked at and undone in one transaction.
  const seen = await session.transaction(async (query) => {
    await query({ text: `create schema ${quoteIdentifier(name)}` });
    const { rows } = await query({ text: "select 1 from pg_namespace where nspname = $1", values: [name] });
    await query({ text: `drop schema ${quoteIdentifier(name)}` });
    return rows.length;
  });
  expect(seen).toBe(1);
});

test.each([
  ["", "must not be empty"],
  ["a\0b", "NUL"],
  ["a".repeat(IDENTIFIER_BYTES_MAX + 1), "has 64 bytes"],
  ["ü".repeat(32), "has 64 bytes"],
  ["pg_mine", '"pg_"'],
  ["half \ud800", "well-formed"],
  [5, "must be a string"],
  [undefined, "must be a string"],
])("%j is refused as a schema name: %s", (name, reason) => {
  let error: unknown;
  try {
    assertSchemaName(name);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(SchemaError);
  expect(error).toMatchObject({ code: "BAD_SCHEMA_NAME" });
  expect((error as Error).message).toContain(reason);
});

test("any accepted name is quoted so that Postgres reads the same name back", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary", minLength: 1, maxLength: 15 }), async (text) => {
      fc.pre(!text.includes("\0"));
      const { fields } = await session.query({ text: `select 1 as ${quoteIdentifier(text)}` });
      expect(fields[0]?.name).toBe(text);
    }),
    { numRuns: 50 },
  );
});

test("channels fit into an identifier and differ by schema, kind and name", () => {
  const anyName = fc.string({ unit: "binary", maxLength: 200 });
  const anyKind = fc.constantFrom("queue", "worker", "client");
  const place = fc.tuple(anyName, anyKind, anyName);
  fc.assert(
    fc.property(place, place, (left, right) => {
      const one = channelName(...left);
      const other = channelName(...right);
      expect(Buffer.byteLength(one)).toBeLessThanOrEqual(IDENTIFIER_BYTES_MAX);
      expect(one === other).toBe(left.every((part, index) => part === right[index]));
    }),
  );
});

test("moving characters between schema and name makes another channel", () => {
  expect(channelName("ab", "queue", "c")).not.toBe(channelName("a", "queue", "bc"));
  expect(channelName("a", "queue", "b")).toBe(channelName("a", "queue", "b"));
});

test("a channel is accepted by LISTEN unquoted and quoted alike", async () => {
  const channel = channelName(uniqueName(), "worker", "w");
  await session.query({ text: `listen ${channel}` });
  const { rows } = await session.query({ text: "select channel from pg_listening_channels() as channel" });
  expect(rows).toContainEqual({ channel });
  await session.query({ text: `unlisten ${quoteIdentifier(channel)}` });
});
