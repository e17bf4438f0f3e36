/** How many tokens there are when. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

test("in any stretch of time, no more tokens are taken than the burst and what came back", () => {
  const gaps = fc.array(fc.nat(5_000), { maxLength: 100 });
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 5 }), (all, countMax) => {
      const bucket = new TokenBucket(countMax, 1_000, 0);
      const takenMs: number[] = [];
      let nowMs = 0;
      for (const gapMs of all) {
        nowMs += gapMs;
        if (bucket.take(nowMs)) takenMs.push(nowMs);
      }
      for (const [first, startMs] of takenMs.entries()) {
        for (const [index, endMs] of takenMs.slice(first).entries()) {
          expect(index + 1).toBeLessThanOrEqual(countMax + (endMs - startMs) / 1_000 + 1e-6);
        }
      }
    }),
  );
});

test("a bucket that rested is full again, and no fuller", () => {
  const bucket = new TokenBucket(2, 1_000, 0);
  const takeThrice = (nowMs: number): boolean[] => [1, 2, 3].map(() => bucket.take(nowMs));
  expect(takeThrice(0)).toEqual([true, true, false]);
  expect(takeThrice(1_000)).toEqual([true, false, false]);
  expect(takeThrice(90_000)).toEqual([true, true, false]);
});
