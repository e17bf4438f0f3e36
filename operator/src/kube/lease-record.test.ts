/** What is read from a Lease and written into it. */
import { expect, test } from "vitest";
import { newLease, observe, othersTimeMs, releasedLease, renewedLease, takenLease } from "./lease-record.ts";
import type { Lease } from "./resource-type.ts";

const NOON = new Date("2026-03-01T12:00:00.123Z");
const ME = { identity: "me", leaseDurationMs: 15_000, wallTime: NOON };
const NAME = { name: "operator", namespace: "memflow" };

function seen(lease: Lease, resourceVersion: string): Lease {
  return { ...lease, metadata: { ...lease.metadata, resourceVersion } };
}

test("a new lease names its holder, in the formats that the server takes", () => {
  expect(newLease(NAME, ME)).toEqual({
    metadata: NAME,
    spec: {
      holderIdentity: "me",
      leaseDurationSeconds: 15,
      acquireTime: "2026-03-01T12:00:00.123000Z",
      renewTime: "2026-03-01T12:00:00.123000Z",
      leaseTransitions: Math.floor(NOON.getTime() / 60_000),
    },
  });
});

test("a lease that was deleted and made anew fences with greater tokens than before", () => {
  const first = newLease(NAME, ME).spec?.leaseTransitions ?? 0;
  const taken = takenLease(newLease(NAME, ME), { ...ME, identity: "you" }).spec?.leaseTransitions ?? 0;
  const later = { ...ME, wallTime: new Date(NOON.getTime() + 120_000) };
  expect(taken).toBe(first + 1);
  expect(newLease(NAME, later).spec?.leaseTransitions).toBeGreaterThan(taken);
});

test("renewing keeps the time of taking and the count; taking sets both, also from ourselves", () => {
  const held = newLease(NAME, ME);
  const later = new Date(NOON.getTime() + 5_000);
  const renewed = renewedLease(held, { ...ME, wallTime: later }).spec;
  expect(renewed).toEqual({ ...held.spec, renewTime: "2026-03-01T12:00:05.123000Z" });
  for (const identity of ["me", "you"]) {
    const taken = takenLease(held, { ...ME, identity, wallTime: later }).spec;
    expect(taken).toMatchObject({
      holderIdentity: identity,
      acquireTime: "2026-03-01T12:00:05.123000Z",
      leaseTransitions: (held.spec?.leaseTransitions ?? 0) + 1,
    });
  }
});

test("a lease that is given back has no holder, and keeps its count", () => {
  const held = newLease(NAME, ME);
  const released = releasedLease(held, NOON);
  expect(released.spec).not.toHaveProperty("holderIdentity");
  expect(released.spec).toMatchObject({
    leaseDurationSeconds: 1,
    leaseTransitions: held.spec?.leaseTransitions,
  });
  expect(othersTimeMs(observe(seen(released, "5"), undefined, 0), "you", 0)).toBe(0);
});

test("others wait for the whole duration from when they saw the newest state, whatever the clock on the wall said", () => {
  const first = observe(seen(newLease(NAME, ME), "1"), undefined, 1_000);
  expect(othersTimeMs(first, "you", 1_000)).toBe(15_000);
  const same = observe(seen(newLease(NAME, ME), "1"), first, 9_000);
  expect(othersTimeMs(same, "you", 9_000)).toBe(7_000);
  const renewed = observe(seen(newLease(NAME, ME), "2"), same, 9_000);
  expect(othersTimeMs(renewed, "you", 9_000)).toBe(15_000);
  expect(othersTimeMs(renewed, "you", 30_000)).toBe(0);
  expect(othersTimeMs(renewed, "me", 9_000)).toBe(0);
});

test("a lease of which somebody made an empty one is free", () => {
  expect(othersTimeMs(observe({ metadata: { resourceVersion: "1" } }, undefined, 0), "you", 0)).toBe(0);
  const empty = { metadata: { resourceVersion: "1" }, spec: { holderIdentity: "", leaseDurationSeconds: 9 } };
  expect(observe(empty, undefined, 0).holder).toBeUndefined();
});
