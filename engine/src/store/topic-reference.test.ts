import fc from "fast-check";
import { expect, test } from "vitest";
import { readTopicReferences, topicReference } from "./topic-reference.ts";

const reference = fc.record({ runId: fc.uuid(), eventNo: fc.integer({ min: 1, max: 999_999_999 }) });

test("what is written is read, several at once too", () => {
  fc.assert(
    fc.property(fc.array(reference, { minLength: 1 }), (references) => {
      expect(readTopicReferences(references.map(topicReference).join(","))).toEqual(references);
    }),
  );
});

test("what anybody else notifies is passed over", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(readTopicReferences(text)).toEqual([]);
    }),
  );
  expect(readTopicReferences("0190a6b2-0000-7000-8000-000000000000/0,x,")).toEqual([]);
});
