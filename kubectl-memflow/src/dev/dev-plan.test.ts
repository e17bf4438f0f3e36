/** What `memflow dev` runs follows from the manifests and the command line alone. */
import path from "node:path";
import { parseManifests } from "@memflow/crds";
import { expect, test } from "vitest";
import { CommandError } from "../exit-codes.ts";
import { makeDevPlan } from "./dev-plan.ts";
import type { DevPlan, RunWish } from "./dev-plan.ts";

const STORE = `
apiVersion: memflow.io/v1alpha1
kind: Store
metadata: {name: main}
spec:
  connection: {secretRef: {name: postgres}}
  schema: tenant
`;

const QUEUE = `
apiVersion: memflow.io/v1alpha1
kind: TaskQueue
metadata: {name: research}
spec:
  storeRef: {name: main}
  scaling: {minReplicas: 0}
  workers:
    source: {image: {ref: example/agent:1}}
`;

const WORKFLOW = `
apiVersion: memflow.io/v1alpha1
kind: Workflow
metadata:
  name: agent
  annotations:
    memflow.io/dev-input: '{"question": "why", "corpus": "docs"}'
spec:
  taskQueueRef: {name: research}
  workflowName: researchAgent
`;

const OTHER = `
apiVersion: memflow.io/v1alpha1
kind: Workflow
metadata: {name: other}
spec:
  taskQueueRef: {name: research}
  defaultArgs: [1, 2]
`;

function plan(texts: readonly string[], wish: RunWish = {}): DevPlan {
  const text = texts.join("---");
  return makeDevPlan(parseManifests([{ path: path.resolve("app/memflow.yaml"), text }]), wish);
}

function refusal(texts: readonly string[], wish: RunWish = {}): CommandError {
  try {
    plan(texts, wish);
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
  throw new Error("the plan was accepted");
}

test("a plain folder gives one worker a queue, code from the folder, and the marked workflow's input", () => {
  expect(plan([STORE, QUEUE, WORKFLOW, OTHER])).toMatchObject({
    schemas: ["tenant"],
    queues: [
      {
        taskQueue: "research",
        schema: "tenant",
        module: path.resolve("app"),
        name: "research",
        replicas: 1,
        policy: { minReplicas: 0, maxReplicas: 4 },
        activityMax: 100,
        runMax: 100,
        graceMs: 10_000,
      },
    ],
    run: {
      workflowName: "researchAgent",
      taskQueue: "research",
      schema: "tenant",
      args: [{ question: "why", corpus: "docs" }],
      isExplicit: false,
    },
  });
});

test("the queue's bounds, concurrency, drain time, environment and module reach its workers", () => {
  const queue = QUEUE.replace(
    "{name: research}",
    "{name: research, annotations: {memflow.io/dev-module: ../code}}",
  ).replace("minReplicas: 0", "minReplicas: 9").concat(`    concurrency: {activities: 5}
    drain: {timeout: 2s}
    env:
      - {name: LEVEL, value: info}
      - {name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}
`);
  expect(plan([STORE, queue, WORKFLOW]).queues[0]).toMatchObject({
    taskQueue: "research",
    schema: "tenant",
    module: path.resolve("code"),
    replicas: 4,
    activityMax: 5,
    runMax: 100,
    graceMs: 2_000,
    environment: { LEVEL: "info" },
    inheritedVariables: ["TOKEN"],
  });
});

test("the same workflow and input give the same run, any other input another", () => {
  const id = (wish: RunWish): string => plan([STORE, QUEUE, WORKFLOW], wish).run.workflowId;
  expect(id({})).toMatch(/^dev-agent-[0-9a-f]{8}$/u);
  expect(id({})).toBe(id({ input: '{"question":"why","corpus":"docs"}' }));
  expect(id({})).not.toBe(id({ input: '{"question":"how"}' }));
  expect(id({})).not.toBe(id({ corpus: "elsewhere" }));
});

test("a workflow is chosen by its function's or its resource's name, and brings its default arguments", () => {
  expect(plan([STORE, QUEUE, WORKFLOW, OTHER], { workflow: "other" }).run).toMatchObject({
    args: [1, 2],
    isExplicit: true,
  });
  expect(plan([STORE, QUEUE, WORKFLOW, OTHER], { workflow: "agent" }).run.workflowName).toBe("researchAgent");
  expect(plan([STORE, QUEUE, WORKFLOW, OTHER], { workflow: "researchAgent" }).run.workflowName).toBe(
    "researchAgent",
  );
});

test("--corpus overrides that field of the input with an absolute path", () => {
  expect(plan([STORE, QUEUE, WORKFLOW], { corpus: "papers" }).run.args).toEqual([
    { question: "why", corpus: path.resolve("papers") },
  ]);
  expect(plan([STORE, QUEUE, OTHER.replace("[1, 2]", "[]")], { corpus: "papers" }).run.args).toEqual([
    { corpus: path.resolve("papers") },
  ]);
  expect(refusal([STORE, QUEUE, OTHER], { corpus: "papers" }).message).toContain("--corpus needs an input");
});

test("what can't be planned is refused with the choices", () => {
  expect(refusal([STORE, QUEUE])).toMatchObject({ exitCode: 2 });
  expect(refusal([STORE, QUEUE, WORKFLOW, OTHER], { workflow: "none" }).message).toContain(
    "researchAgent, other",
  );
  const unmarked = WORKFLOW.replace("dev-input", "note");
  expect(refusal([STORE, QUEUE, unmarked, OTHER]).message).toContain("--workflow");
  expect(refusal([STORE, QUEUE, WORKFLOW], { input: "{question" }).message).toMatch(/^--input is no JSON/u);
  const badAnnotation = WORKFLOW.replace(`'{"question": "why", "corpus": "docs"}'`, "'{'");
  expect(refusal([STORE, QUEUE, badAnnotation]).message).toMatch(
    /memflow\.yaml:\d+: annotation memflow\.io\/dev-input is no JSON/u,
  );
  const suspended = WORKFLOW.replace("spec:", "spec:\n  suspend: true");
  expect(refusal([STORE, QUEUE, suspended]).message).toContain("suspended");
  const typed = WORKFLOW.concat(
    "  input: {schema: {type: object, required: [title], properties: {title: {type: string}}}}\n",
  );
  expect(refusal([STORE, QUEUE, typed]).message).toBe(
    'the input of "researchAgent" is wrong: title: is missing',
  );
});
