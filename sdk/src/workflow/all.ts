/**
 * MemFlow's name for waiting for several promises.
 */

/**
 * Waits for all of the given promises, as `Promise.all` does; on replay they settle in the recorded order. Activities,
 * sleeps, waits, children and hooks may be mixed, here and in `Promise.race`, `any` and `allSettled`.
 *
 * @returns Their values, in the order of the arguments.
 * @throws What the first of them rejects with.
 *
 * @example
 * const [approval, slept] = await MemFlow.workflow.all(
 *   MemFlow.workflow.waitFor('approved'),
 *   MemFlow.workflow.sleepFor('1 second'),
 * );
 */
export async function all<Values extends readonly unknown[]>(
  ...promises: Values
): Promise<{ -readonly [Index in keyof Values]: Awaited<Values[Index]> }> {
  return await Promise.all(promises);
}
