/** Names and versions of objects. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareResourceVersions, identityOf, keyOf, nameOf, parseKey } from "./wire.ts";

const dnsLabels = fc.stringMatching(/^[a-z][a-z0-9.-]{0,20}$/u);

test("a key names its object, with and without a namespace", () => {
  fc.assert(
    fc.property(dnsLabels, fc.option(dnsLabels, { nil: undefined }), (name, namespace) => {
      expect(parseKey(keyOf({ name, namespace }))).toEqual(
        namespace === undefined ? { name } : { name, namespace },
      );
    }),
  );
});

test("resource versions compare as the numbers that they are, however long", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n }), fc.bigInt({ min: 0n }), (left, right) => {
      const order = compareResourceVersions(left.toString(), right.toString());
      expect(Math.sign(order ?? Number.NaN)).toBe(left < right ? -1 : left > right ? 1 : 0);
    }),
  );
});

test("of versions that are not decimal numbers nothing is known", () => {
  for (const odd of ["", "007", "-1", "1e3", "abc", "1.5"]) {
    expect(compareResourceVersions(odd, "5")).toBeUndefined();
    expect(compareResourceVersions("5", odd)).toBeUndefined();
  }
});

test("an object that no server sent has no identity, and one without a name no name", () => {
  expect(() => identityOf({ kind: "Pod", metadata: { name: "a" } })).toThrow(TypeError);
  expect(() => nameOf({ kind: "Pod" })).toThrow(TypeError);
});
