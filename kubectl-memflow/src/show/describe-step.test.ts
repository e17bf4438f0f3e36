/** A line says what happened, to what, and why it failed. */
import { expect, test } from "vitest";
import { describeStep } from "./describe-step.ts";

function text(kind: string, name: string | null = null, payload?: unknown): string | undefined {
  return describeStep({ kind, name, payload })?.text;
}

test("each kind of step is named with its subject", () => {
  expect(text("activity_completed", "searchCorpus")).toBe("activity searchCorpus");
  expect(text("hook_started", "optimisticView")).toBe("hook optimisticView started");
  expect(text("child_completed", "detailedAnalysis")).toBe("child detailedAnalysis completed");
  expect(text("signal_received", "optimistic-complete")).toBe("signal optimistic-complete received");
  expect(text("timer_fired")).toBe("timer fired");
  expect(text("entity_changed", "append", { op: "append", path: "findings", value: 1 })).toBe(
    "entity append findings",
  );
  expect(text("entity_changed", "set", { op: "set", value: {} })).toBe("entity set");
});

test("a failure is told with its reason, on one line of bounded length", () => {
  expect(text("activity_failed", "load", { message: "no\nsuch file" })).toBe(
    "activity load failed: no such file",
  );
  expect(text("attempt_failed", "load", { failure: { message: "busy" } })).toBe(
    "attempt of load failed, is tried again: busy",
  );
  expect(text("child_failed", "x", null)).toBe("child x failed");
  expect(text("activity_failed", "load", { message: "x".repeat(1_000) })?.length).toBeLessThan(200);
  expect(describeStep({ kind: "hook_failed", name: "x", payload: {} })?.tone).toBe("bad");
});

test("reads of the entity are left out, unknown kinds are shown by their word", () => {
  expect(text("entity_read", "get")).toBeUndefined();
  expect(text("update_accepted", "rename")).toBe("update_accepted rename");
});
