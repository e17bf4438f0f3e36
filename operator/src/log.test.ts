/** What a line of the log holds. */
import { expect, test } from "vitest";
import { makeLog } from "./log.ts";

test("an entry is one line of JSON: its level by name, its message, the values beside it", () => {
  const lines: string[] = [];
  const log = makeLog("info", { write: (line) => void lines.push(line) });
  log("debug", "not shown", {});
  log("warn", "the lease was not renewed", { lease: "memflow-operator", error: "a\nb" });
  expect(lines.length).toBe(1);
  const { time, ...entry } = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  expect(entry).toEqual({
    level: "warn",
    message: "the lease was not renewed",
    lease: "memflow-operator",
    error: "a\nb",
  });
  expect(new Date(String(time)).toISOString()).toBe(time);
});
