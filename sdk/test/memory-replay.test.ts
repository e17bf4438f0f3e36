/**
 * Random programs on a run's memory: whatever they do, a replay by another worker gives each operation the value, or the
 * error, that it gave live, and nothing that code does to a value shows in a later one.
 */
import { isDeepStrictEqual } from "node:util";
import { resolveConnection } from "@memflow/engine";
import { checkStore } from "@memflow/engine/testing";
import { EntityError, MemFlow, OptionError, PayloadError } from "@memflow/sdk";
import type { Entity, Search } from "@memflow/sdk";
import fc from "fast-check";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "memory";
const PROGRAMS = 120;

/** One operation: on the entity or the search data, with its arguments. */
interface Operation {
  readonly on: "entity" | "search";
  readonly name: string;
  readonly args: readonly unknown[];
}

/** What an operation gave, copied at once. */
type Outcome = { readonly value: unknown } | { readonly error: string };

/** By program and side: the outcomes of each execution from the top. */
const told = new Map<string, Outcome[][]>();

/** The operations of each side: they hold what no argument of a start can. */
const programs = new Map<string, readonly Operation[]>();

async function program(id: string): Promise<void> {
  const hook = MemFlow.workflow.execHook({ taskQueue: QUEUE, workflowName: "side", args: [`${id}/hook`] });
  await side(`${id}/main`);
  await hook;
}

async function side(id: string): Promise<void> {
  const outcomes: Outcome[] = [];
  told.set(id, [...(told.get(id) ?? []), outcomes]);
  const targets = { entity: await MemFlow.workflow.entity(), search: await MemFlow.workflow.search() };
  for (const each of programs.get(id) ?? []) outcomes.push(await carryOut(targets, each));
  await MemFlow.workflow.waitFor(`${id} may end`);
}

async function carryOut(
  targets: { entity: Entity; search: Search },
  { on, name, args }: Operation,
): Promise<Outcome> {
  const target = targets[on] as unknown as Record<string, (...args: readonly unknown[]) => Promise<unknown>>;
  try {
    const value = await target[name]?.(...args);
    const outcome = { value: structuredClone(value) };
    spoil(value);
    return outcome;
  } catch (error) {
    if (!(error instanceof EntityError || error instanceof PayloadError || error instanceof OptionError))
      throw error;
    return { error: `${error.code} ${error.message}` };
  }
}

/** What user code may do to what it was given. */
function spoil(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const member of Object.values(value)) spoil(member);
  if (Array.isArray(value)) value.push("spoiled");
  else Object.assign(value, { spoiled: true });
}

const key = fc.constantFrom("a", "b", "0", "1", "list", "__proto__", "é");
const path = fc.oneof(
  { weight: 9, arbitrary: fc.array(key, { minLength: 1, maxLength: 3 }).map((keys) => keys.join(".")) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 5 }) },
);
const scalar = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.string({ unit: "binary", maxLength: 4 }),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    scalar,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(key, tie("value"), { maxKeys: 3, noNullPrototype: true }),
  ),
}));
const document = fc.dictionary(key, value, { maxKeys: 4, noNullPrototype: true });
const name = fc.constantFrom("a", "b", "n", "", "constructor");
const text = fc.oneof(
  fc.constantFrom("", "1", "2.5", "x", true, -7),
  fc.string({ unit: "binary", maxLength: 4 }),
);

const on = (target: Operation["on"], operation: string, ...args: readonly fc.Arbitrary<unknown>[]) =>
  fc.tuple(...args).map((given): Operation => ({ on: target, name: operation, args: given }));

const operation: fc.Arbitrary<Operation> = fc.oneof(
  on("entity", "set", value),
  on("entity", "merge", document),
  { weight: 2, arbitrary: on("entity", "get", path) },
  on("entity", "get"),
  { weight: 3, arbitrary: on("entity", "append", path, value) },
  { weight: 2, arbitrary: on("entity", "prepend", path, value) },
  { weight: 2, arbitrary: on("entity", "remove", path, fc.integer({ min: -1, max: 2 })) },
  { weight: 2, arbitrary: on("entity", "increment", path, fc.oneof(fc.integer(), fc.double())) },
  on("entity", "increment", path),
  { weight: 2, arbitrary: on("entity", "toggle", path) },
  { weight: 2, arbitrary: on("entity", "setIfNotExists", path, value) },
  { weight: 2, arbitrary: on("entity", "delete", path) },
  {
    weight: 2,
    arbitrary: on("search", "set", fc.dictionary(name, text, { maxKeys: 3, noNullPrototype: true })),
  },
  on("search", "set", name, text),
  { weight: 2, arbitrary: on("search", "get", name) },
  on("search", "mget", name, name),
  on("search", "del", name, name),
  {
    weight: 2,
    arbitrary: on("search", "incr", name, fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double())),
  },
  on("search", "mult", name, fc.integer({ min: -3, max: 3 })),
);
const operations = fc.array(operation, { minLength: 1, maxLength: 12 });

test(
  "every operation gives the same live and when another worker replays it",
  { timeout: 180_000 },
  async () => {
    const seed = fc.sample(fc.nat(), 1)[0] ?? 0;
    const given = fc.sample(fc.tuple(operations, operations), { numRuns: PROGRAMS, seed });
    for (const [index, [own, hooked]] of given.entries()) {
      programs.set(`${index}/main`, own);
      programs.set(`${index}/hook`, hooked);
    }
    const store = await setup();
    const workflows = { program, side };
    const first = await store.engine({ taskQueue: QUEUE, workflows });
    const handles = await Promise.all(
      given.map((_, index) =>
        store.client.workflow.start({ taskQueue: QUEUE, workflowName: "program", args: [String(index)] }),
      ),
    );
    const entities = () => Promise.all(handles.map(async (handle) => await handle.entity()));
    await eventually("all programs and hooks wait", async () => {
      const waiting = await store.query("select from waits where signal_id like '% may end'");
      return waiting.length === programs.size;
    });
    const before = await entities();
    first.crash();
    await store.bury(first.status.workerId);
    await store.engine({ taskQueue: QUEUE, workflows });
    for (const id of programs.keys()) await store.client.workflow.signal(`${id} may end`);
    await Promise.all(handles.map((handle) => handle.result()));

    expect([...told.keys()].toSorted()).toEqual([...programs.keys()].toSorted());
    for (const [id, [live, ...again]] of told) {
      const operationsOfIt = programs.get(id) ?? [];
      // In one comparison, so that a difference comes with what was asked and with the seed.
      const asked = { seed, id, operations: operationsOfIt };
      expect({ ...asked, outcomes: again }).toStrictEqual({ ...asked, outcomes: [live] });
      expect(isDeepStrictEqual(again, [live])).toBe(true);
      expect(live).toHaveLength(operationsOfIt.length);
    }
    expect(await entities()).toEqual(before);
    expect(await checkStore({ source: resolveConnection(store.url), schema: store.namespace })).toEqual([]);
  },
);
