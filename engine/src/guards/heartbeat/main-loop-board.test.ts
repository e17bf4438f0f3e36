import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MainLoopBoard } from "./main-loop-board.ts";

const RUN_ID = "0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";

test("another thread's board shows what the first one writes", () => {
  const writer = new MainLoopBoard();
  const reader = new MainLoopBoard(writer.buffer);
  const owner = fc.record({
    kind: fc.constantFrom("run" as const, "activity" as const),
    id: fc.uuid(),
    position: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  });
  fc.assert(
    fc.property(owner, (shown) => {
      writer.enter(shown);
      expect(reader.owner).toEqual(shown);
      writer.leave();
      expect(reader.owner).toBeUndefined();
    }),
  );
});

test("capital digits are the same id", () => {
  const board = new MainLoopBoard();
  board.enter({ kind: "run", id: RUN_ID.toUpperCase(), position: 1 });
  expect(board.owner?.id).toBe(RUN_ID);
});

test("a new board shows no owner and no debugger", () => {
  const board = new MainLoopBoard();
  expect(board.owner).toBeUndefined();
  expect(board.debugged).toBe(false);
});

test("every turn changes the count, and a debugger shows with it", () => {
  const board = new MainLoopBoard();
  const before = board.turnCount;
  board.turn(true);
  expect(board.turnCount).not.toBe(before);
  expect(board.debugged).toBe(true);
  board.turn(false);
  expect(board.debugged).toBe(false);
});

test("an owner that is just being written is not shown", () => {
  const board = new MainLoopBoard();
  board.enter({ kind: "run", id: randomUUID(), position: 3 });
  const versionSlot = new Int32Array(board.buffer).findIndex((value, slot) => slot > 0 && value === 2);
  Atomics.add(new Int32Array(board.buffer), versionSlot, 1);
  expect(board.owner).toBeUndefined();
});
