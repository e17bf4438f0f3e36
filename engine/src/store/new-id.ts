/** Ids that are made before the first try of what they name: version 7 UUIDs, so that Postgres's indexes grow at one end. */
import { randomFillSync } from "node:crypto";

import { UUID_V7_RANDOM_BYTES, uuidV7 } from "../core/uuid.ts";

const POOL_IDS = 256;
const pool = new Uint8Array(POOL_IDS * UUID_V7_RANDOM_BYTES);
let used: number = pool.length;

/** A new id, ordered by the time of its making. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const bytes = pool.subarray(used, used + UUID_V7_RANDOM_BYTES);
  used += UUID_V7_RANDOM_BYTES;
  return uuidV7(Date.now(), bytes);
}
