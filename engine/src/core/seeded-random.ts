/**
 * The random numbers of a run: the same on every replay, different in every run.
 *
 * sfc32 over a 128-bit hash of the seed: passes PractRand, and takes four additions a number. Not for secrets: who knows
 * the seed knows all numbers.
 */
import { formatUuid } from "./uuid.ts";

const WARM_UP_ROUNDS = 12;

/**
 * Starts a sequence of random numbers.
 *
 * @param seed - Any text; a run uses its id.
 * @returns A function that gives the next number, in [0, 1) with 53 random bits.
 *
 * @example
 * const random = createRandom(runId);
 * const dice = 1 + Math.floor(random() * 6);
 */
export function createRandom(seed: string): () => number {
  const next = createSfc32(hashText(seed));
  for (let round = 0; round < WARM_UP_ROUNDS; round++) next();
  // The order of the two draws is fixed by JavaScript, so it is part of the sequence.
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}

/**
 * Draws a version 4 UUID.
 *
 * @param random - As `createRandom` gives it; four numbers are taken.
 */
export function uuidFromRandom(random: () => number): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let offset = 0; offset < 16; offset += 4) view.setUint32(offset, Math.floor(random() * 2 ** 32));
  return formatUuid(bytes, 4);
}

type Words = readonly [number, number, number, number];

function createSfc32(state: Words): () => number {
  let [a, b, c, counter] = state;
  return () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
}

/** Four 32-bit hashes of a text, each over all of it: FNV-1a with four starts and Murmur3's last mix. */
function hashText(text: string): Words {
  const hashFrom = (start: number): number => {
    let hash = start ^ text.length;
    for (let index = 0; index < text.length; index++) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  };
  return [hashFrom(0x811c9dc5), hashFrom(0x9e3779b9), hashFrom(0x3c6ef372), hashFrom(0xdaa66d2b)];
}
