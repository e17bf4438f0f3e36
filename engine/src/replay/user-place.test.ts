/** Which frame of a stack is the user's. */
import { expect, test } from "vitest";
import { currentUserPlace, userPlace, userPlaces } from "./user-place.ts";

const ENGINE = new URL("../../../engine/", import.meta.url).pathname;
const SDK = new URL("../../../sdk/", import.meta.url).pathname;

const stack = (...frames: string[]): string =>
  ["Error: x", ...frames.map((frame) => `    at ${frame}`)].join("\n");

test("the first frame that is neither Node's nor ours is the place", () => {
  const frames = stack(
    `RunContext.issue (file://${ENGINE}src/replay/run-context.ts:170:12)`,
    `sleepFor (file://${SDK}src/workflow/sleep.ts:20:17)`,
    "process.processTicksAndRejections (node:internal/process/task_queues:105:5)",
    "async order (file:///home/ann/shop/workflows.ts:12:3)",
    "async RunMachine.<anonymous> (/home/ann/shop/main.ts:4:1)",
  );
  expect(userPlace(frames)).toBe("/home/ann/shop/workflows.ts:12:3");
  expect(userPlaces(frames)).toEqual(["/home/ann/shop/workflows.ts:12:3", "/home/ann/shop/main.ts:4:1"]);
});

test.each([
  ["an installed package of ours", "/home/ann/shop/node_modules/@memflow/sdk/dist/index.js:1:1"],
  [
    "one that pnpm installed",
    "/home/ann/node_modules/.pnpm/@memflow+engine@0.1.0/node_modules/@memflow/engine/dist/worker/worker.js:1:1",
  ],
  ["Node", "node:internal/timers:1:1"],
])("%s is no place", (_what, place) => {
  expect(userPlace(stack(`fn (${place})`, place))).toBe("");
});

test.each([
  ["a folder of the user that is called engine", "/home/ann/engine/src/workflows.ts:1:1"],
  ["another package", "/home/ann/shop/node_modules/shop-workflows/dist/index.js:1:1"],
  ["a path with a name like ours", "/home/ann/memflow/sdk/src/workflows.ts:1:1"],
])("%s is a place", (_what, place) => {
  expect(userPlace(stack(`fn (${place})`))).toBe(place);
  expect(userPlace(stack(place))).toBe(place);
});

test("what a library did at the user's bidding is the user's place; alone it is its own", () => {
  const library = "connect (/home/ann/shop/node_modules/pg/lib/connection.js:45:17)";
  expect(userPlace(stack(library, "order (/home/ann/shop/workflows.ts:12:3)"))).toBe(
    "/home/ann/shop/workflows.ts:12:3",
  );
  expect(userPlace(stack(library))).toBe("/home/ann/shop/node_modules/pg/lib/connection.js:45:17");
});

test("no stack has no place", () => {
  expect(userPlace(undefined)).toBe("");
  expect(userPlace("Error: at noon 12:30:00")).toBe("");
});

test("the current place is the caller's, and the limit of stacks is as it was", () => {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 1;
  const place = (() => currentUserPlace())();
  expect(Error.stackTraceLimit).toBe(1);
  Error.stackTraceLimit = limit;
  expect(place).toMatch(/user-place\.test\.ts:\d+:\d+$/);
});
