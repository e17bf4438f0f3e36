/** A run's view of its entity, folded up to a number of the log. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { EntityChange } from "../core/entity-fold.ts";
import { EntityView } from "./entity-view.ts";
import type { NumberedChange } from "./entity-view.ts";

const change = (entityNo: number, value: EntityChange): NumberedChange => ({
  entityNo,
  payload: JSON.stringify(value),
});
const append = (entityNo: number, value: string): NumberedChange =>
  change(entityNo, { op: "append", path: "list", value });

test("a change of the run itself is folded with its outcome", () => {
  const view = new EntityView();
  expect(view.change(1, JSON.stringify({ op: "increment", path: "n", by: 2 }))).toMatchObject({ value: 2 });
  expect(view.change(2, JSON.stringify({ op: "increment", path: "n", by: 3 }))).toMatchObject({ value: 5 });
  expect(view.entityNo).toBe(2);
  expect(view.memory.document).toEqual({ n: 5 });
});

test("changes of others are missed by their span, and folded before the run's own", () => {
  const view = new EntityView();
  expect(view.missing(2)).toEqual([1, 2]);
  view.feed([append(1, "theirs"), append(2, "theirs too")]);
  expect(view.missing(2)).toBeUndefined();
  expect(view.change(3, append(3, "mine").payload)).toMatchObject({
    value: ["theirs", "theirs too", "mine"],
  });
  expect(view.missing(3)).toBeUndefined();
});

test("a gap in what was fed is told from its first missing number", () => {
  const view = new EntityView();
  view.feed([append(1, "one"), append(3, "three")]);
  expect(view.missing(4)).toEqual([2, 4]);
});

test("a read sees the document of its number, not of later changes", () => {
  const view = new EntityView();
  view.feed([append(1, "one"), append(2, "two")]);
  expect(view.read(1, "list")).toEqual(["one"]);
  expect(view.read(2, "list")).toEqual(["one", "two"]);
  expect(view.read(2, null)).toEqual({ list: ["one", "two"] });
  expect(view.read(2, "nowhere")).toBeUndefined();
});

test("the entity and the search data have one log, and a read sees both as of its number", () => {
  const view = new EntityView();
  const set = JSON.stringify({ op: "search.set", fields: { status: "new" } });
  view.feed([append(1, "one"), { entityNo: 2, payload: set }]);
  expect(view.read(1, { search: ["status", "toString"] })).toEqual(["", ""]);
  expect(view.read(2, { search: ["status", "toString"] })).toEqual(["new", ""]);
  expect(view.change(3, JSON.stringify({ op: "search.incr", field: "status", by: 1 }))).toHaveProperty(
    "error",
  );
  expect(view.memory).toEqual({ document: { list: ["one"] }, search: { status: "new" } });
});

test("what it hands out is a copy: user code that changes it changes nothing", () => {
  const view = new EntityView();
  const folded = view.change(1, append(1, "one").payload);
  if ("value" in folded) (folded.value as string[]).push("changed");
  (view.read(1, "list") as string[]).push("changed");
  expect(view.read(1, "list")).toEqual(["one"]);
});

test("a change that the document refuses leaves it as it was and counts all the same", () => {
  const view = new EntityView();
  view.change(1, JSON.stringify({ op: "set", value: { list: "text" } }));
  expect(view.change(2, JSON.stringify({ op: "increment", path: "list", by: 1 }))).toHaveProperty("error");
  expect([view.entityNo, view.memory.document]).toEqual([2, { list: "text" }]);
});

test("what was fed twice or late is folded once", () => {
  const view = new EntityView();
  view.feed([append(1, "one")]);
  view.read(1, null);
  view.feed([append(1, "one"), append(2, "two"), append(2, "two")]);
  expect(view.read(2, "list")).toEqual(["one", "two"]);
});

test("folding without the missing changes is an error, not a wrong document", () => {
  expect(() => new EntityView().read(1, null)).toThrow(/change 1 .* was not fed/);
});

test("whoever makes a change, and however the others are fed, every view of a number is the same", () => {
  const list = fc.array(fc.record({ mine: fc.boolean(), value: fc.string() }), { maxLength: 20 });
  fc.assert(
    fc.property(list, fc.integer({ min: 1, max: 5 }), (changes, batch) => {
      const log = changes.map(({ value }, index) => append(index + 1, value));
      const view = new EntityView();
      const others = log.filter((_, index) => changes[index]?.mine !== true);
      for (let start = 0; start < others.length; start += batch)
        view.feed(others.slice(start, start + batch));
      for (const [index, { mine }] of changes.entries()) {
        const one = log[index];
        if (mine && one !== undefined) view.change(one.entityNo, one.payload);
      }
      expect(view.read(log.length, null)).toEqual(
        log.length === 0 ? {} : { list: changes.map(({ value }) => value) },
      );
    }),
  );
});
