/** What a store and its indexes hold. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ObjectStore } from "./object-store.ts";
import { keyOf, nameOf } from "./wire.ts";
import type { KubeObject } from "./wire.ts";

function makeStore(): ObjectStore<KubeObject> {
  return new ObjectStore<KubeObject>({ label: (object) => Object.values(object.metadata?.labels ?? {}) });
}

const objects: fc.Arbitrary<KubeObject> = fc.record({
  metadata: fc.record({
    namespace: fc.constantFrom("n1", "n2"),
    name: fc.constantFrom("a", "b", "c"),
    labels: fc.dictionary(fc.constantFrom("x", "y"), fc.constantFrom("1", "2", "3")),
  }),
});

test("after any puts and deletes, store and index hold exactly what was put last and not deleted", () => {
  const steps = fc.array(fc.record({ object: objects, put: fc.boolean() }), { maxLength: 40 });
  fc.assert(
    fc.property(steps, (all) => {
      const store = makeStore();
      const model = new Map<string, KubeObject>();
      for (const { object, put } of all) {
        const key = keyOf(nameOf(object));
        const before = model.get(key);
        expect(put ? store.put(object) : store.delete(key)).toBe(before);
        if (put) model.set(key, object);
        else model.delete(key);
      }
      expect([...store.keys()].toSorted()).toEqual([...model.keys()].toSorted());
      expect(new Set(store.list())).toEqual(new Set(model.values()));
      expect(store.size).toBe(model.size);
      for (const value of ["1", "2", "3"]) {
        const having = [...model.values()].filter((object) =>
          Object.values(object.metadata?.labels ?? {}).includes(value),
        );
        expect(new Set(store.find("label", value))).toEqual(new Set(having));
      }
    }),
  );
});

test("an index that nobody declared is a mistake, not an empty answer", () => {
  expect(() => makeStore().find("secret", "a")).toThrow(/no index "secret" \(there are: label\)/u);
});
