import fc from "fast-check";
import { expect, test } from "vitest";
import { EventHeap } from "./event-heap.ts";

test("events come by time, and in their order where the time is the same", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (times) => {
      const heap = new EventHeap();
      const seen: [number, number][] = [];
      times.forEach((atMs, order) => heap.add(atMs, () => void seen.push([atMs, order])));
      for (let event = heap.take(); event !== undefined; event = heap.take()) event.run();
      const sorted = times
        .map((atMs, order): [number, number] => [atMs, order])
        .toSorted((left, right) => left[0] - right[0] || left[1] - right[1]);
      expect(seen).toEqual(sorted);
    }),
  );
});
