/** A run as a tree: its steps in order, and what it started below it. */
import { expect, test } from "vitest";
import { drawTree } from "./run-tree.ts";
import type { TreeMember } from "./run-tree.ts";

const START = Date.parse("2026-01-01T00:00:00Z");
const plain = (_: unknown, text: string): string => text;

function member(
  run: Partial<TreeMember["run"]>,
  events: readonly [number, string, string][] = [],
): TreeMember {
  return {
    run: {
      runId: "root",
      workflowId: "w",
      workflow: "parent",
      status: "completed",
      hook: false,
      parentRunId: null,
      startedAt: new Date(START).toISOString(),
      closedAt: new Date(START + 5_000).toISOString(),
      ...run,
    },
    events: events.map(([atMs, kind, name]) => ({ atMs: START + atMs, kind, name })),
  };
}

test("children and hooks stand where they were started, with their own steps", () => {
  const lines = drawTree(
    "root",
    [
      member({}, [
        [100, "activity_completed", "charge"],
        [200, "child_started", "ship"],
        [900, "child_completed", "ship"],
        [950, "signal_received", "paid"],
      ]),
      member(
        {
          runId: "child",
          workflowId: "s",
          workflow: "ship",
          parentRunId: "root",
          status: "failed",
          startedAt: new Date(START + 200).toISOString(),
        },
        [[300, "activity_failed", "pack"]],
      ),
    ],
    plain,
  );
  expect(lines).toEqual([
    "parent w (completed, 5s)",
    "├─ activity charge",
    "├─ child ship s (failed, 4s)",
    "│  └─ activity pack failed",
    "└─ signal paid received",
  ]);
});

test("what repeats is counted, and a child that may not be seen is still told of", () => {
  const lines = drawTree(
    "root",
    [
      member({ status: "running", closedAt: null }, [
        [1, "activity_completed", "poll"],
        [2, "activity_completed", "poll"],
        [3, "child_started", "hidden"],
        [4, "entity_changed", "set"],
      ]),
    ],
    plain,
  );
  expect(lines).toEqual(["parent w (running)", "├─ activity poll x2", "└─ child hidden started"]);
});
