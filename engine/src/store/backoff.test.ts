/** Back-off: doubled limits, and chance within them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

const BACKOFF = { firstMs: 50, maxMs: 5_000 };

test("the delay lies between half of the limit and the limit, which doubles up to its maximum", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (attempt, random) => {
        const limitMs = Math.min(5_000, 50 * 2 ** (attempt - 1));
        const delayMs = backoffMs(BACKOFF, attempt, random);
        expect(delayMs).toBeGreaterThanOrEqual(Math.floor(limitMs / 2));
        expect(delayMs).toBeLessThanOrEqual(limitMs);
      },
    ),
  );
});

test("the extremes of chance give the extremes of the delay", () => {
  expect([1, 2, 3, 100].map((attempt) => backoffMs(BACKOFF, attempt, 1))).toEqual([50, 100, 200, 5_000]);
  expect(backoffMs(BACKOFF, 1, 0)).toBe(25);
});
