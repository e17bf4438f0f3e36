/** How a worker makes do with fewer connections: the bound holds, and what matters most shares last. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { WORKER_CONNECTIONS_MAX, WORKER_CONNECTIONS_MIN, shareConnections } from "./connection-shares.ts";
import type { ConnectionShares } from "./connection-shares.ts";

/** Heartbeat, LISTEN, control, claims, and what has one of its own. */
function countOf({ flushing, settlesAlone, notifiesAlone }: ConnectionShares): number {
  return WORKER_CONNECTIONS_MIN + flushing + Number(settlesAlone) + Number(notifiesAlone);
}

test.each([
  [4, { flushing: 0, lanes: 1, settlesAlone: false, notifiesAlone: false }],
  [5, { flushing: 1, lanes: 1, settlesAlone: false, notifiesAlone: false }],
  [6, { flushing: 1, lanes: 1, settlesAlone: true, notifiesAlone: false }],
  [7, { flushing: 2, lanes: 2, settlesAlone: true, notifiesAlone: false }],
  [8, { flushing: 2, lanes: 2, settlesAlone: true, notifiesAlone: true }],
  [50, { flushing: 2, lanes: 2, settlesAlone: true, notifiesAlone: true }],
  [undefined, { flushing: 2, lanes: 2, settlesAlone: true, notifiesAlone: true }],
])("of %s connections", (bound, shares) => {
  expect(shareConnections(bound, 2)).toEqual(shares);
});

test("a worker without a bound opens as many as the documented most", () => {
  expect(countOf(shareConnections(undefined, 2))).toBe(WORKER_CONNECTIONS_MAX);
});

test("the bound holds, is used up as far as it serves, and a higher one takes nothing away", () => {
  fc.assert(
    fc.property(fc.integer({ min: 4, max: 60 }), fc.integer({ min: 1, max: 10 }), (bound, lanes) => {
      const shares = shareConnections(bound, lanes);
      const most = countOf(shareConnections(undefined, lanes));
      expect(countOf(shares)).toBe(Math.min(bound, most));
      expect(shares.lanes).toBeGreaterThanOrEqual(1);
      const more = shareConnections(bound + 1, lanes);
      expect(more.flushing).toBeGreaterThanOrEqual(shares.flushing);
      expect(Number(more.settlesAlone)).toBeGreaterThanOrEqual(Number(shares.settlesAlone));
      expect(Number(more.notifiesAlone)).toBeGreaterThanOrEqual(Number(shares.notifiesAlone));
    }),
  );
});

test.each([3, 0, -1, 4.5, Number.NaN])("%s connections are refused, and it is said why", (bound) => {
  expect(() => shareConnections(bound, 2)).toThrow(/from 4: heartbeat, LISTEN/u);
});
