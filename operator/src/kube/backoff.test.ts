/** How long failures wait. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs, RETRY_AFTER_MAX_MS } from "./backoff.ts";

const BACKOFF = { firstMs: 100, maxMs: 30_000 };
const failureCounts = fc.integer({ min: 1, max: 2_000 });
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("a delay is never negative, never above its limit, and doubles its range with each failure", () => {
  fc.assert(
    fc.property(failureCounts, randoms, (failureCount, random) => {
      const delayMs = backoffMs(BACKOFF, failureCount, random);
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(BACKOFF.maxMs);
    }),
  );
  expect([1, 2, 3, 4].map((count) => backoffMs(BACKOFF, count, 0.5))).toEqual([50, 100, 200, 400]);
  expect(backoffMs(BACKOFF, 100, 0.5)).toBe(15_000);
});

test("what the server asked for is waited for in full, with the jitter on top, up to a limit", () => {
  fc.assert(
    fc.property(failureCounts, randoms, fc.nat(), (failureCount, random, retryAfterMs) => {
      const delayMs = backoffMs(BACKOFF, failureCount, random, retryAfterMs);
      expect(delayMs).toBeGreaterThanOrEqual(Math.min(retryAfterMs, RETRY_AFTER_MAX_MS));
      expect(delayMs).toBeLessThanOrEqual(RETRY_AFTER_MAX_MS + BACKOFF.maxMs);
    }),
  );
});
