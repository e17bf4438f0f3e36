/** What is said of a Workflow, by what is known. */
import { expect, test } from "vitest";
import { judgeWorkflow } from "./judge-workflow.ts";
import type { WorkflowFacts } from "./judge-workflow.ts";

const READY = { status: "True", message: "" };
const GOOD: WorkflowFacts = {
  workflowName: "order",
  queueRef: "mail",
  queue: { ready: READY, currentBuildId: "b2" },
  nameTakenBy: undefined,
  schemas: { kind: "Valid" },
  suspended: false,
  announced: [{ buildId: "b2", workflows: ["order"] }],
  registeredBefore: [],
};

function judge(facts: Partial<WorkflowFacts>): Record<string, string> & { readonly builds: string } {
  const { claims, registeredBuildIds } = judgeWorkflow({ ...GOOD, ...facts });
  const said = Object.fromEntries(claims.map(({ type, status, reason }) => [type, `${status} ${reason}`]));
  return { ...said, builds: registeredBuildIds.join(",") };
}

test("a workflow that the current build announces is ready", () => {
  expect(judge({})).toEqual({
    Ready: "True Ready",
    Registered: "True Announced",
    SchemaValid: "True Valid",
    builds: "b2",
  });
});

test("a queue at zero forgets nothing, and one that never ran is ready all the same", () => {
  expect(judge({ announced: [], registeredBefore: ["b2"] })).toMatchObject({
    Registered: "True Announced",
    builds: "b2",
  });
  expect(judge({ announced: undefined, registeredBefore: ["b2"] }).builds).toBe("b2");
  expect(judge({ announced: [] })).toMatchObject({
    Ready: "True Ready",
    Registered: "Unknown NotSeenYet",
    builds: "",
  });
});

test("only the current build decides; an older one that has the function does not help", () => {
  expect(judge({ announced: [{ buildId: "b1", workflows: ["order"] }] })).toMatchObject({
    Registered: "Unknown NotSeenYet",
    builds: "b1",
  });
  expect(
    judge({
      announced: [
        { buildId: "b1", workflows: ["order"] },
        { buildId: "b2", workflows: ["other"] },
      ],
    }),
  ).toMatchObject({ Ready: "False NotRegistered", Registered: "False NotExported", builds: "b1" });
});

test("workers without a build may run any code", () => {
  const announced = [{ buildId: null, workflows: ["order"] }];
  expect(judge({ announced })).toMatchObject({ Registered: "True Announced", builds: "unnamed" });
  const queue = { ready: READY, currentBuildId: undefined };
  expect(judge({ queue, announced: [{ buildId: null, workflows: [] }] })["Registered"]).toBe(
    "False NotExported",
  );
});

test("a build whose workers say otherwise is struck out, and says what they export", () => {
  const announced = [{ buildId: "b2", workflows: ["b", "a"] }];
  expect(judge({ announced, registeredBefore: ["b1", "b2"] }).builds).toBe("b1");
  const { claims } = judgeWorkflow({ ...GOOD, announced });
  expect(claims.find(({ type }) => type === "Registered")?.message).toContain("(they export: a, b)");
});

test("no more than ten builds are kept, the living ones first of all", () => {
  const registeredBefore = Array.from({ length: 12 }, (_, index) => `old-${index}`);
  const { registeredBuildIds } = judgeWorkflow({ ...GOOD, registeredBefore });
  expect(registeredBuildIds.length).toBe(10);
  expect(registeredBuildIds.at(-1)).toBe("b2");
});

test.each<[string, Partial<WorkflowFacts>]>([
  ["TaskQueueNotFound", { queue: undefined }],
  ["WorkflowNameTaken", { nameTakenBy: "older" }],
  ["SchemaNotValid", { schemas: { kind: "Invalid", reason: "InvalidSchema", message: "wrong" } }],
  ["TaskQueueNotReady", { queue: { ready: { status: "False", message: "no" }, currentBuildId: "b2" } }],
  ["TaskQueueNotReady", { queue: { ready: undefined, currentBuildId: undefined } }],
  ["Suspended", { suspended: true }],
])("it is not ready: %s", (reason, facts) => {
  expect(judge(facts)["Ready"]).toBe(`False ${reason}`);
});
