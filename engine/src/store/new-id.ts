/**
 * Ids that are made before the first try of what they name: version 7 UUIDs, so that Postgres's indexes grow at one end.
 *
 * Promises that ids of one process sort in the order of their making; those of several by their clocks.
 */
import { randomFillSync } from "node:crypto";

import { UUID_V7_RANDOM_BYTES, uuidV7 } from "../core/uuid.ts";

const POOL_IDS = 256;
/** Ids of one millisecond are counted in the 12 bits after it (RFC 9562, section 6.2, method 1). */
const COUNTER_MAX = 0xfff;
const pool = new Uint8Array(POOL_IDS * UUID_V7_RANDOM_BYTES);
let used: number = pool.length;
let lastMs = 0;
let counter = 0;

/** A new id, ordered by the time of its making. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const bytes = pool.subarray(used, used + UUID_V7_RANDOM_BYTES);
  used += UUID_V7_RANDOM_BYTES;
  count(Date.now());
  // The version takes the upper half of the first byte.
  bytes[0] = counter >> 8;
  bytes[1] = counter & 0xff;
  return uuidV7(lastMs, bytes);
}

/** A clock that goes back, and a millisecond of more ids than it can count, go on from the last one. */
function count(nowMs: number): void {
  counter = nowMs > lastMs ? 0 : counter + 1;
  lastMs = Math.max(lastMs, nowMs);
  if (counter <= COUNTER_MAX) return;
  counter = 0;
  lastMs += 1;
}
