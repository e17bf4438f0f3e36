/** When a worker counts as ready. */
import { expect, test } from "vitest";
import { judgeReadiness } from "./run-worker.ts";

test("a worker is ready while it claims and hears from its database", () => {
  expect(judgeReadiness({ state: "running", silentMs: 4_000 })).toEqual({ ready: true });
  expect(judgeReadiness({ state: "running", silentMs: 12_000 })).toEqual({
    ready: false,
    reason: "the database has not answered for 12000 ms",
  });
  expect(judgeReadiness({ state: "draining", silentMs: 0 })).toEqual({
    ready: false,
    reason: "the worker is draining",
  });
});
