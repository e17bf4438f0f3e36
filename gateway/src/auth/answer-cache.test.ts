/** How long an answer stands, and how often is asked. */
import { ManualClock } from "@memflow/operator/testing";
import { expect, test } from "vitest";
import { AnswerCache } from "./answer-cache.ts";
import { UnavailableError } from "./index.ts";

interface Bundle {
  readonly clock: ManualClock;
  readonly cache: AnswerCache<number>;
  /** Answers 1, 2, 3. */
  readonly ask: () => Promise<number>;
  readonly askedCount: () => number;
}

function setup(limits: { readonly entryMax?: number; readonly askingMax?: number } = {}): Bundle {
  const clock = new ManualClock();
  const common = { subject: "rights", keepMs: 10_000, entryMax: 100, askingMax: 100, clock };
  const cache = new AnswerCache<number>({ ...common, ...limits });
  let count = 0;
  return { clock, cache, ask: async () => (count += 1), askedCount: () => count };
}

test("an answer stands for its time and not longer", async () => {
  const { cache, ask, clock } = setup();
  expect(await cache.answer("a", ask)).toBe(1);
  clock.advance(9_999);
  expect(await cache.answer("a", ask)).toBe(1);
  clock.advance(1);
  expect(await cache.answer("a", ask)).toBe(2);
});

test("its time is counted from before the question, however long the answer took", async () => {
  const { cache, ask, clock } = setup();
  const slow = Promise.withResolvers<number>();
  const first = cache.answer("a", () => slow.promise);
  clock.advance(8_000);
  slow.resolve(0);
  expect(await first).toBe(0);
  clock.advance(2_000);
  expect(await cache.answer("a", ask)).toBe(1);
});

test("a thousand equal questions at one time are asked once", async () => {
  const { cache, ask, askedCount } = setup();
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => cache.answer("a", ask)));
  expect(new Set(answers)).toEqual(new Set([1]));
  expect(askedCount()).toBe(1);
});

test("a failure is told to all who wait and is not kept", async () => {
  const { cache, ask } = setup();
  const failing = (): Promise<number> => Promise.reject(new Error("away"));
  const both = await Promise.allSettled([cache.answer("a", failing), cache.answer("a", failing)]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await cache.answer("a", ask)).toBe(1);
});

test("it keeps no more than so many, and drops the oldest", async () => {
  const { cache, ask } = setup({ entryMax: 2 });
  for (const key of ["a", "b", "c"]) await cache.answer(key, ask);
  expect(cache.size).toBe(2);
  expect(await cache.answer("c", ask)).toBe(3);
  expect(await cache.answer("a", ask)).toBe(4);
});

test("it asks no more than so many at one time, and refuses the rest", async () => {
  const { cache, ask } = setup({ askingMax: 1 });
  const slow = Promise.withResolvers<number>();
  const first = cache.answer("a", () => slow.promise);
  await expect(cache.answer("b", ask)).rejects.toBeInstanceOf(UnavailableError);
  slow.resolve(7);
  expect(await first).toBe(7);
  expect(await cache.answer("b", ask)).toBe(1);
});
