/** Times as Leases and Events have them. */

/** A time with six decimals of a second: the API server refuses any other number of them. */
export function microTime(time: Date): string {
  return time.toISOString().replace(/Z$/u, "000Z");
}
