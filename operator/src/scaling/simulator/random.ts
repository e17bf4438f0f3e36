/**
 * Random numbers that are the same in every run: a picture that is made again is the same picture.
 */

/** Gives numbers from 0 up to 1. */
export type Random = () => number;

const STEP = 0x6d2b79f5;

/** Mulberry32: 32 bits of state are plenty for a trace. */
export function seededRandom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + STEP) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A positive number with the given mean, as the distance between independent arrivals has it. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random()) * mean;
}
