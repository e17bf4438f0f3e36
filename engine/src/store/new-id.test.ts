/** New ids: unlike each other, and in the order of their making. */
import { afterEach, expect, test, vi } from "vitest";
import { newId } from "./new-id.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u;

afterEach(() => vi.useRealTimers());

test("ids that are made faster than the clock counts are unlike each other and in order", () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const ids = Array.from({ length: 10_000 }, newId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
  for (const id of ids) expect(id).toMatch(UUID_V7);
});

test("a clock that goes back does not change the order", () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const before = newId();
  vi.setSystemTime(Date.now() - 60_000);
  const after = newId();
  expect(after > before).toBe(true);
  expect(after).not.toBe(before);
});

test("the ends of ids, by which runs are spread, are random", () => {
  const ends = new Set(Array.from({ length: 1_000 }, () => newId().slice(-12)));
  expect(ends.size).toBe(1_000);
});
