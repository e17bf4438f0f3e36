/** A run's random numbers: the same for a seed, unlike for different ones, and evenly spread. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom, uuidFromRandom } from "./seeded-random.ts";

const draw = (seed: string, count: number): number[] => {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => random());
};

test("the numbers of a seed never change, also between versions", () => {
  expect(draw("0190a6f4-6f1e-7c3a-8f2e-5b9d3c1a7e42", 3)).toMatchInlineSnapshot(`
    [
      0.749313696655856,
      0.1588048306946308,
      0.4924634842056065,
    ]
  `);
  expect(draw("", 1)).toMatchInlineSnapshot(`
    [
      0.5719945207322695,
    ]
  `);
});

test("a seed gives the same numbers again, each in [0, 1)", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (seed) => {
      const numbers = draw(seed, 20);
      expect(draw(seed, 20)).toEqual(numbers);
      expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    }),
  );
});

test("different seeds give different numbers from the first on", () => {
  const seeds = Array.from(
    { length: 20_000 },
    (_, index) => `0190a6f4-6f1e-7c3a-8f2e-${String(index).padStart(12, "0")}`,
  );
  expect(new Set(seeds.map((seed) => draw(seed, 1)[0])).size).toBe(seeds.length);
});

/** Chi-squared of 100 cells, 99 degrees of freedom: beyond 170 by chance once in 100,000 times. */
const chiSquared = (numbers: readonly number[]): number => {
  const cells = Array.from({ length: 100 }, () => 0);
  for (const number of numbers) cells[Math.floor(number * 100)] = (cells[Math.floor(number * 100)] ?? 0) + 1;
  const expected = numbers.length / 100;
  return cells.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
};

test("the numbers of one seed are spread evenly", () => {
  expect(chiSquared(draw("one seed", 100_000))).toBeLessThan(170);
});

test("the first numbers of similar seeds are spread evenly", () => {
  const firsts = Array.from({ length: 100_000 }, (_, index) => draw(`run-${index}`, 1)[0] as number);
  expect(chiSquared(firsts)).toBeLessThan(170);
});

test("one number says nothing about the next", () => {
  const numbers = draw("pairs", 100_000);
  const pairs = numbers.map((number, index) => (Math.floor(number * 10) + (numbers[index - 1] ?? 0)) / 10);
  expect(chiSquared(pairs.slice(1))).toBeLessThan(170);
});

test("all 53 bits are used", () => {
  const lowBits = draw("bits", 1000).map((number) => (number * 2 ** 53) % 2);
  const ones = lowBits.filter((bit) => bit === 1).length;
  expect(ones).toBeGreaterThan(400);
  expect(ones).toBeLessThan(600);
});

test("a drawn UUID is of version 4, the same for a seed, and another with the next draw", () => {
  const random = createRandom("run");
  const first = uuidFromRandom(random);
  expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(uuidFromRandom(random)).not.toBe(first);
  expect(uuidFromRandom(createRandom("run"))).toBe(first);
});
