/** Due times come out in order. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { TimerHeap } from "./timer-heap.ts";

test("items come out by their due times, none before, none twice", () => {
  const operations = fc.array(
    fc.oneof(
      fc.record({ push: fc.integer({ min: 0, max: 50 }) }),
      fc.record({ now: fc.integer({ min: 0, max: 60 }) }),
    ),
  );
  fc.assert(
    fc.property(operations, (list) => {
      const heap = new TimerHeap<number>();
      let waiting: number[] = [];
      for (const operation of list) {
        if ("push" in operation) {
          heap.push(operation.push, operation.push);
          waiting.push(operation.push);
        } else {
          const popped: number[] = [];
          for (let item = heap.pop(operation.now); item !== undefined; item = heap.pop(operation.now))
            popped.push(item);
          expect(popped).toEqual(waiting.filter((dueMs) => dueMs <= operation.now).sort((a, b) => a - b));
          waiting = waiting.filter((dueMs) => dueMs > operation.now);
        }
        expect(heap.size).toBe(waiting.length);
        expect(heap.nextMs).toBe(waiting.length === 0 ? undefined : Math.min(...waiting));
      }
    }),
  );
});

test("an empty heap has nothing due", () => {
  const heap = new TimerHeap<string>();
  expect([heap.pop(Infinity), heap.nextMs, heap.size]).toEqual([undefined, undefined, 0]);
});

test("items that no longer stand do not pile up, and the others still come out in order", () => {
  const heap = new TimerHeap<number>((item) => item % 100 === 0);
  for (let item = 0; item < 100_000; item += 1) heap.push(1_000_000 - item, item);
  expect(heap.size).toBeLessThan(4_000);
  const popped: number[] = [];
  for (let item = heap.pop(Infinity); item !== undefined; item = heap.pop(Infinity)) popped.push(item);
  const standing = popped.filter((item) => item % 100 === 0);
  expect(standing).toHaveLength(1_000);
  expect(standing).toEqual(standing.toSorted((a, b) => b - a));
});
