/**
 * UUIDs from bytes that the caller brings: version 7 for ids that Postgres indexes in the order of their making.
 *
 * Does not read a clock or draw randomness.
 */

/** How many random bytes `uuidV7` takes. */
export const UUID_V7_RANDOM_BYTES = 10;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const TIME_MAX_MS = 2 ** 48 - 1;

/**
 * Makes a version 7 UUID (RFC 9562): ids of a later millisecond sort after those of an earlier one.
 *
 * @param nowMs - Milliseconds since 1970; a fraction is dropped.
 * @param randomBytes - At least `UUID_V7_RANDOM_BYTES` bytes; ids of one millisecond sort by them.
 * @throws {RangeError} When the time is outside 48 bits or the bytes are too few.
 */
export function uuidV7(nowMs: number, randomBytes: Uint8Array): string {
  if (!(nowMs >= 0 && nowMs <= TIME_MAX_MS)) throw new RangeError(`time ${nowMs} does not fit a uuid`);
  if (randomBytes.length < UUID_V7_RANDOM_BYTES) {
    throw new RangeError(`a uuid takes ${UUID_V7_RANDOM_BYTES} random bytes, got ${randomBytes.length}`);
  }
  const bytes = new Uint8Array(16);
  let time = Math.floor(nowMs);
  // Not with shifts: they would cut the time to 32 bits.
  for (let index = 5; index >= 0; index--) {
    bytes[index] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes.set(randomBytes.subarray(0, UUID_V7_RANDOM_BYTES), 6);
  return formatUuid(bytes, 7);
}

/**
 * Writes 16 bytes as a UUID of a version, in the variant of RFC 9562.
 *
 * @param bytes - 16 bytes; the six bits of version and variant are replaced.
 */
export function formatUuid(bytes: Uint8Array, version: number): string {
  let text = "";
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) text += "-";
    let byte = bytes[index] as number;
    if (index === 6) byte = (byte & 0x0f) | (version << 4);
    if (index === 8) byte = (byte & 0x3f) | 0x80;
    text += HEX[byte];
  }
  return text;
}
