/**
 * Draws a run with what happened in it as a tree: activities, timers, signals, and its children and hooks with theirs.
 *
 * Pure. Everything of a run in the order of its time; repeated lines are counted.
 */
import { humanDuration } from "../print/age.ts";
import { describeStep } from "./describe-step.ts";
import type { StepEvent } from "./describe-step.ts";
import type { Tone } from "./terminal.ts";

/** A run and its events. */
export interface TreeMember {
  readonly run: {
    readonly runId: string;
    readonly workflowId: string;
    readonly workflow: string;
    readonly status: string;
    readonly hook: boolean;
    readonly parentRunId: string | null;
    readonly startedAt: string;
    readonly closedAt: string | null;
  };
  readonly events: readonly (Omit<StepEvent, "payload"> & {
    readonly atMs: number;
    readonly payload?: unknown;
  })[];
}

type Paint = (tone: Tone, text: string) => string;

interface Branch {
  readonly atMs: number;
  readonly text: string;
  readonly tone: Tone;
  readonly branches: readonly Branch[];
}

/** What a child's or hook's own subtree shows. */
const SHOWN_BY_SUBTREE = /^(child|hook)_(started|completed|failed|start_failed)$/u;
/** Changes of the entity and what code emits are told by the history. */
const LEFT_OUT = ["entity_changed", "entity_read", "emitted", "traced", "side_effect_marked"];

/** The lines of a tree; the members of its root's family, in any order. */
export function drawTree(rootRunId: string, members: readonly TreeMember[], paint: Paint): readonly string[] {
  const root = members.find(({ run }) => run.runId === rootRunId);
  if (root === undefined) return [];
  const branch = branchOf(root, members);
  return [paint(branch.tone, branch.text), ...drawBranches(branch.branches, "", paint)];
}

function branchOf(member: TreeMember, members: readonly TreeMember[]): Branch {
  const { run, events } = member;
  const inner = members.filter((other) => other.run.parentRunId === run.runId);
  const steps = events.flatMap((event) => stepOf(event, inner));
  const branches = [...steps, ...inner.map((one) => branchOf(one, members))].toSorted(
    (one, other) => one.atMs - other.atMs,
  );
  const startedMs = Date.parse(run.startedAt);
  const took = run.closedAt === null ? "" : `, ${humanDuration(Date.parse(run.closedAt) - startedMs)}`;
  const kind = run.hook ? "hook " : run.parentRunId === null ? "" : "child ";
  return {
    atMs: startedMs,
    text: `${kind}${run.workflow} ${run.workflowId} (${run.status}${took})`,
    tone: run.status === "running" ? "name" : run.status === "completed" ? "good" : "bad",
    branches: mergeRepeated(branches),
  };
}

function stepOf(event: TreeMember["events"][number], inner: readonly TreeMember[]): readonly Branch[] {
  if (LEFT_OUT.includes(event.kind)) return [];
  const isInner = inner.some(({ run }) => run.workflow === event.name);
  if (SHOWN_BY_SUBTREE.test(event.kind) && isInner) return [];
  const step = describeStep({ ...event, payload: event.payload });
  return step === undefined ? [] : [{ atMs: event.atMs, text: step.text, tone: step.tone, branches: [] }];
}

/** The same line again and again is one line with a count. */
function mergeRepeated(branches: readonly Branch[]): readonly Branch[] {
  const merged: { branch: Branch; count: number }[] = [];
  for (const branch of branches) {
    const last = merged.at(-1);
    const isSame = branch.branches.length === 0 && last?.branch.text === branch.text;
    if (isSame && last !== undefined) last.count += 1;
    else merged.push({ branch, count: 1 });
  }
  return merged.map(({ branch, count }) =>
    count === 1 ? branch : { ...branch, text: `${branch.text} x${count}` },
  );
}

function drawBranches(branches: readonly Branch[], indent: string, paint: Paint): readonly string[] {
  return branches.flatMap((branch, index) => {
    const isLast = index === branches.length - 1;
    const line = `${indent}${isLast ? "└─ " : "├─ "}${paint(branch.tone, branch.text)}`;
    return [line, ...drawBranches(branch.branches, `${indent}${isLast ? "   " : "│  "}`, paint)];
  });
}
