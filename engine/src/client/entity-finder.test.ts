/**
 * Searches for entities: what they find is what a plain reading of the documents finds, whether a snapshot is up to date
 * or lags; and the indexes that are made for them are used by them.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parseCondition, parseConditions } from "../core/entity-condition.ts";
import type { Condition } from "../core/entity-condition.ts";
import type { Json } from "../core/json.ts";
import { quoteIdentifier } from "../store/identifiers.ts";
import { newId } from "../store/new-id.ts";
import { Session } from "../store/session.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import { testSource, uniqueName } from "../testing/test-database.ts";
import { candidatesStatement } from "./entity-finder.ts";
import { entityIndexName } from "./entity-index.ts";
import { StoreClient } from "./store-client.ts";

const schema = uniqueName("finder");
const quoted = quoteIdentifier(schema);
const session = new Session({ source: testSource(), purpose: "finder" });
let client: StoreClient;
let typeCount = 0;

beforeAll(async () => {
  client = await StoreClient.open(testSource(), schema);
});

afterAll(async () => {
  await client.close();
  await session.query({ text: `drop schema ${quoted} cascade` });
  await session.close();
});

/** A document, and how far its snapshot is behind. */
interface Stored {
  readonly document: Json;
  readonly lag: "fresh" | "behind" | "never written";
}

const OLD: Json = { a: "old", b: 0, "0": ["old"] };

/** Stores documents of a type of their own, oldest first; their workflow ids are their places. */
async function store(documents: readonly Stored[]): Promise<string> {
  const type = `type-${(typeCount += 1)}`;
  const ids = documents.map(() => newId());
  const snapshots = documents.map(({ document, lag }) =>
    JSON.stringify(lag === "fresh" ? document : lag === "behind" ? OLD : {}),
  );
  const set = (value: Json): string => JSON.stringify({ op: "set", value });
  await session.query({
    text: `
      with given as (
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
          with ordinality as g (id, snapshot, lag, first, second, place)
      ), runs as (
        insert into ${quoted}.runs (run_id, entity_id, task_queue, workflow_name, workflow_id)
        select id, id, 'queue', 'flow', $6 || '-' || (place - 1) from given
      ), events as (
        insert into ${quoted}.events (run_id, event_no, kind, at, name, payload, entity_id, entity_no)
        select id, 1, 20, now(), 'set', first::json, id, 1 from given
        union all
        select id, 2, 20, now(), 'set', second::json, id, 2 from given
      )
      insert into ${quoted}.entities (entity_id, entity_type, last_no, snapshot_no, stale, snapshot)
      select id, $6, 2, case lag when 'fresh' then 2 when 'behind' then 1 else 0 end, lag <> 'fresh', snapshot::jsonb
      from given`,
    values: [
      ids,
      snapshots,
      documents.map(({ lag }) => lag),
      documents.map(() => set(OLD)),
      documents.map(({ document }) => set(document)),
      type,
    ],
  });
  return type;
}

/** The places of what is found, newest first. */
async function find(
  entityType: string,
  conditions: readonly Condition[],
  { limit = 1_000, offset = 0 }: { readonly limit?: number; readonly offset?: number } = {},
): Promise<number[]> {
  const found = await client.findEntities({ entityType, conditions, limit, offset });
  return found.map(({ workflowId }) => Number(workflowId.slice(entityType.length + 1)));
}

// ---- a plain reading of documents, without Postgres and without the engine's own helpers

function read(value: Json | undefined, [key, ...rest]: readonly string[]): Json | undefined {
  if (key === undefined || value === undefined) return value;
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value))
    return /^(0|[1-9]\d*)$/.test(key) ? read(value[Number(key)] as Json, rest) : undefined;
  return Object.hasOwn(value, key) ? read((value as Record<string, Json>)[key], rest) : undefined;
}

function same(one: Json | undefined, other: Json | undefined): boolean {
  const sorted = (item: unknown): unknown => {
    if (typeof item !== "object" || item === null) return item;
    if (Array.isArray(item)) return ["array", ...item.map(sorted)];
    const members = Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return ["object", ...members.map(([name, member]) => [name, sorted(member)])];
  };
  return (
    one !== undefined && other !== undefined && JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
  );
}

function order(one: Json | undefined, other: number | string): number | undefined {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one === "string" && typeof other === "string")
    return Buffer.compare(Buffer.from(one), Buffer.from(other));
  return undefined;
}

function like(text: string, pattern: string): boolean {
  const parts = pattern.match(/\\[^]|[^]/gu) ?? [];
  const source = parts.map((part) =>
    part === "%"
      ? "[^]*"
      : part === "_"
        ? "[^]"
        : `\\u{${part
            .replace(/^\\(?=[^])/u, "")
            .codePointAt(0)
            ?.toString(16)}}`,
  );
  return new RegExp(`^${source.join("")}$`, "u").test(text);
}

function holds(document: Json, { path, operator, value }: Condition): boolean {
  const actual = read(document, path);
  switch (operator) {
    case "$eq":
      return same(actual, value);
    case "$ne":
      return !same(actual, value);
    case "$in":
      return value.some((item) => same(actual, item));
    case "$like":
      return typeof actual === "string" && like(actual, value);
    default: {
      const difference = order(actual, value);
      if (difference === undefined) return false;
      if (difference === 0) return operator === "$gte" || operator === "$lte";
      return difference > 0 === operator.startsWith("$g");
    }
  }
}

// ---- random documents and conditions that often meet

const key = fc.constantFrom("a", "b", "0", "1", "-1", "01", " 1", "+0", "ü.".slice(0, 1), "99999999999");
const LONG = "x".repeat(198);
const text = fc.oneof(
  fc.constantFrom("", "a", "B", "ab", "a%", "a_b", "é", "e\u0301", "😀", "\uffff", "\\", "1", "old", "\n"),
  fc.constantFrom("", "a", "b", "é", "😀", "ab", "😀😀z").map((end) => LONG + end),
);
const number = fc.oneof(
  fc.integer({ min: -2, max: 3 }),
  fc.constantFrom(0.1, 0.1 + 0.2, 1e21, -1e-7, 5e-324, 1.7976931348623157e308, 2 ** 53, 1.5),
);
const scalar: fc.Arbitrary<Json> = fc.oneof(text, number, fc.boolean(), fc.constant(null));
const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(key, tie("value"), { maxKeys: 4 }),
  ),
}));
const document = fc.oneof(
  { weight: 5, arbitrary: fc.dictionary(key, value, { maxKeys: 4 }) },
  { weight: 1, arbitrary: value },
);
const stored: fc.Arbitrary<Stored> = fc.record({
  document,
  lag: fc.constantFrom("fresh", "fresh", "behind", "never written"),
});
const field = fc.array(key, { minLength: 1, maxLength: 3 }).map((path) => path.join("."));
const pattern = fc
  .array(fc.constantFrom("%", "_", "a", "b", "x", "é", "😀", "\\%", "\\_", "\\\\", "\\a", LONG), {
    maxLength: 4,
  })
  .map((parts) => parts.join(""));
const condition: fc.Arbitrary<Condition> = fc
  .oneof(
    fc.tuple(field, fc.constantFrom("$eq", "$ne", "=", "!="), value),
    fc.tuple(
      field,
      fc.constantFrom("$gt", "$gte", "$lt", "$lte", ">", ">=", "<", "<="),
      fc.oneof(text, number),
    ),
    fc.tuple(
      field,
      fc.constantFrom("$in", "in"),
      fc.oneof(fc.array(text), fc.array(number), fc.array(value)),
    ),
    fc.tuple(field, fc.constantFrom("$like", "LIKE"), pattern),
  )
  .map(([path, operator, wanted]) => parseCondition(path, operator, wanted));

describe("what is found is what a plain reading of the documents finds, newest first", () => {
  const search = fc.record({
    documents: fc.array(stored, { maxLength: 25 }),
    searches: fc.array(fc.array(condition, { maxLength: 3 }), { minLength: 5, maxLength: 15 }),
    limit: fc.integer({ min: 0, max: 12 }),
    offset: fc.integer({ min: 0, max: 6 }),
  });

  const finds = async ({
    documents,
    searches,
    limit,
    offset,
  }: typeof search extends fc.Arbitrary<infer T> ? T : never) => {
    const type = await store(documents);
    for (const conditions of searches) {
      const expected = documents
        .flatMap((one, place) => (conditions.every((each) => holds(one.document, each)) ? [place] : []))
        .toReversed();
      expect(await find(type, conditions)).toEqual(expected);
      expect(await find(type, conditions, { limit, offset })).toEqual(expected.slice(offset, offset + limit));
    }
  };

  test("without indexes", async () => {
    await fc.assert(fc.asyncProperty(search, finds), { numRuns: 40 });
  });

  test("with indexes on the fields", async () => {
    for (const path of [["a"], ["b"], ["0"], ["a", "b"], ["a", "0"], ["-1"], ["01"]]) {
      await client.createEntityIndex(path, "btree");
      await client.createEntityIndex(path, "gin");
    }
    await fc.assert(fc.asyncProperty(search, finds), { numRuns: 40 });
  });
});

test("pages go on until all matches are found, wherever they lie among those that lag and do not match", async () => {
  const documents = Array.from({ length: 350 }, (_, index): Stored => ({
    document: { even: index % 2 === 0, index },
    lag: index % 3 === 0 ? "behind" : "fresh",
  }));
  const type = await store(documents);
  const even = Array.from({ length: 175 }, (_, index) => 348 - 2 * index);
  const conditions = parseConditions({ even: true });
  expect(await find(type, conditions)).toEqual(even);
  expect(await find(type, conditions, { offset: 120, limit: 40 })).toEqual(even.slice(120, 160));
  expect(await find(type, parseConditions({ index: { $gte: 10, $lt: 13 } }))).toEqual([12, 11, 10]);
});

describe("an index", () => {
  /** The names of the indexes in the plan of the very statement that a search sends. */
  async function indexesOf(
    at: string,
    entityType: string,
    conditions: Readonly<Record<string, unknown>>,
  ): Promise<string> {
    const { text: statement, values = [] } = candidatesStatement(at, {
      entityType,
      conditions: parseConditions(conditions),
      before: "ffffffff-ffff-ffff-ffff-ffffffffffff",
      limit: 10,
    });
    const { rows } = await session.query<{ "QUERY PLAN": string }>({ text: `explain ${statement}`, values });
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  }

  test("is used by the search's own statement, as EXPLAIN shows, with the planner's own choice", async () => {
    const scratch = await makeScratchStore();
    const own = await StoreClient.open(scratch.place.source, scratch.place.schema);
    onTestFinished(() => own.close());
    await scratch.sql(`
      with ids as (select gen_random_uuid() as id, n from generate_series(1, 20000) n), made as (
        insert into :schema.runs (run_id, entity_id, task_queue, workflow_name, workflow_id)
        select id, id, 'queue', 'flow', 'w-' || n from ids
      )
      insert into :schema.entities (entity_id, entity_type, snapshot)
      select id, 'order', jsonb_build_object(
        'status', 's-' || n, 'total', jsonb_build_object('amount', n), 'list', jsonb_build_array('x', n), 'flag', n = 7
      )
      from ids`);
    for (const path of [["status"], ["total", "amount"], ["list", "1"]])
      await own.createEntityIndex(path, "btree");
    for (const path of [["status"], ["flag"]]) await own.createEntityIndex(path, "gin");

    const { schema: at } = scratch.place;
    const status = entityIndexName("btree", ["status"]);
    const amount = entityIndexName("btree", ["total", "amount"]);
    const item = entityIndexName("btree", ["list", "1"]);
    expect(await indexesOf(at, "order", { status: "s-77" })).toContain(status);
    expect(await indexesOf(at, "order", { status: { $in: ["s-77", "s-78"] } })).toContain(status);
    expect(await indexesOf(at, "order", { status: { $gte: "s-77", $lt: "s-78" } })).toContain(status);
    expect(await indexesOf(at, "order", { status: { $like: "s-77%" } })).toContain(status);
    expect(await indexesOf(at, "order", { "total.amount": 77 })).toContain(amount);
    expect(await indexesOf(at, "order", { "total.amount": { $in: [77, 78] } })).toContain(amount);
    expect(await indexesOf(at, "order", { "total.amount": { $gt: 77, $lt: 90 } })).toContain(amount);
    expect(await indexesOf(at, "order", { "list.1": 77 })).toContain(item);
    expect(await indexesOf(at, "order", { flag: true })).toContain(entityIndexName("gin", ["flag"]));
    // Without conditions, and for those that lag: by type.
    const plan = await indexesOf(at, "order", {});
    expect(plan).toContain("entities_by_type");
    expect(plan).toContain("entities_stale");
    expect(plan).not.toContain("Seq Scan");
  });

  test("takes values of any length, and is made once, however many ask at the same time", async () => {
    const long = "y".repeat(100_000);
    const type = await store([{ document: { deep: { note: long } }, lag: "fresh" }]);
    const names = await Promise.all(
      Array.from({ length: 4 }, (_, index) =>
        client.createEntityIndex(["deep", "note"], index % 2 === 0 ? "btree" : "gin"),
      ),
    );
    expect(new Set(names).size).toBe(2);
    expect(await client.entityIndexes()).toEqual(expect.arrayContaining(names));
    expect(await find(type, parseConditions({ "deep.note": long }))).toEqual([0]);
    expect(await find(type, parseConditions({ "deep.note": `${long}!` }))).toEqual([]);
    const later = await store([{ document: { deep: { note: `${long}!` } }, lag: "fresh" }]);
    expect(await find(later, parseConditions({ "deep.note": `${long}!` }))).toEqual([0]);
  });

  test("that a broken build left behind is built anew", async () => {
    const name = await client.createEntityIndex(["broken"], "btree");
    await session.query({
      text: `update pg_index set indisvalid = false where indexrelid = $1::regclass`,
      values: [`${quoted}.${quoteIdentifier(name)}`],
    });
    expect(await client.entityIndexes()).not.toContain(name);
    await client.createEntityIndex(["broken"], "btree");
    expect(await client.entityIndexes()).toContain(name);
  });
});
