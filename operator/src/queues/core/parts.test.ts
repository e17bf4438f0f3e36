/** Small decisions: merging, comparing, code, faults of pods, admission, deletion. */
import { workflowSchema } from "@memflow/crds";
import type { Workflow } from "@memflow/crds";
import { expect, test } from "vitest";
import type { Pod } from "../../kube/kubernetes-kinds.ts";
import { taskQueue } from "../testing/task-queues.ts";
import type { Manifest } from "../testing/task-queues.ts";
import { admitTarget } from "./admit-target.ts";
import { canonicalJson } from "./canonical-json.ts";
import { codeOfConfigMap, codeOfWorkflows } from "./code-files.ts";
import { covers } from "./covers.ts";
import { decideDeletion } from "./decide-deletion.ts";
import type { DeletionFacts } from "./decide-deletion.ts";
import { mergePodParts } from "./merge-pod-spec.ts";
import { findPodFault } from "./pod-faults.ts";
import type { Version } from "./rollout-facts.ts";

test("equal values have one text, whatever the order of their members", () => {
  expect(canonicalJson({ b: [{ d: 1, c: undefined }], a: null })).toBe('{"a":null,"b":[{"d":1}]}');
  expect(canonicalJson({ b: 1, a: 2 })).toBe(canonicalJson({ a: 2, b: 1 }));
});

test.each([
  [{ a: 1, b: 2 }, { a: 1 }, true],
  [{ a: 1 }, { a: 2 }, false],
  [{ a: [{ b: 1, c: 2 }] }, { a: [{ b: 1 }] }, true],
  [{ a: [1, 2] }, { a: [1] }, false],
  [{ a: 1 }, { a: [1] }, false],
  [{}, { a: {} }, true],
  [{}, { a: { b: 1 } }, false],
  [{ a: "text" }, { a: { b: 1 } }, false],
  [{}, { a: undefined }, true],
])("%j covers %j: %j", (actual, wanted, expected) => {
  expect(covers(actual, wanted)).toBe(expected);
});

test("named items are merged, choices are replaced, other lists too, null takes away", () => {
  const base = {
    containers: [{ name: "a", ports: [{ containerPort: 1, name: "x" }], env: [{ name: "E", value: "1" }] }],
    tolerations: [{ key: "old" }],
    gone: true,
  };
  const over = {
    containers: [
      {
        name: "a",
        ports: [{ containerPort: 1, protocol: "UDP" }],
        env: [{ name: "E", valueFrom: { fieldRef: {} } }],
      },
      { name: "b" },
    ],
    tolerations: [{ key: "new" }],
    gone: null,
  };
  expect(mergePodParts(base, over)).toEqual({
    containers: [
      {
        name: "a",
        ports: [{ containerPort: 1, name: "x", protocol: "UDP" }],
        env: [{ name: "E", valueFrom: { fieldRef: {} } }],
      },
      { name: "b" },
    ],
    tolerations: [{ key: "new" }],
  });
  expect(mergePodParts({}, { volumes: [{ name: "v" }] })).toEqual({ volumes: [{ name: "v" }] });
  expect(mergePodParts({ volumes: [] }, { volumes: "bad" })).toEqual({ volumes: "bad" });
});

function workflow(name: string, code: Manifest | undefined): Workflow {
  const spec = { taskQueueRef: { name: "orders" }, ...(code ? { code } : {}) };
  return workflowSchema.parse({
    apiVersion: "memflow.io/v1alpha1",
    kind: "Workflow",
    metadata: { name },
    spec,
  });
}

test("two Workflows may have files of the same name", () => {
  const found = codeOfWorkflows([
    workflow("ship", { files: { "index.ts": "2" } }),
    workflow("bill", { files: { "main.ts": "1", "tax.ts": "t" }, entrypoint: "main.ts" }),
    workflow("none", undefined),
  ]);
  expect(found).toEqual({
    kind: "Found",
    code: {
      module: "",
      files: {
        "bill/main.ts": "1",
        "bill/tax.ts": "t",
        "workflows/bill.mjs": 'export * from "../bill/main.ts";\n',
        "ship/index.ts": "2",
        "workflows/ship.mjs": 'export * from "../ship/index.ts";\n',
      },
    },
  });
});

test("code that is not there is named with what to do", () => {
  const source = { configMapRef: { name: "code" }, entrypoint: "index.mjs" };
  expect(codeOfWorkflows([])).toMatchObject({ reason: "NoInlineCode" });
  expect(codeOfConfigMap(source, undefined)).toMatchObject({ reason: "ConfigMapNotFound" });
  expect(codeOfConfigMap({ entrypoint: "index.mjs" }, undefined)).toMatchObject({ kind: "Missing" });
  expect(codeOfConfigMap(source, { "b.mjs": "", "a.mjs": "" })).toMatchObject({
    reason: "EntrypointNotFound",
    message: expect.stringContaining("a.mjs, b.mjs") as string,
  });
  expect(codeOfConfigMap(source, { "index.mjs": "x" })).toEqual({
    kind: "Found",
    code: { files: { "index.mjs": "x" }, module: "index.mjs" },
  });
});

function pod(name: string | undefined, container: Manifest, rest: Manifest = {}): Pod {
  const whole = { name: "worker", ready: false, restartCount: 0, image: "", imageID: "", ...container };
  return { metadata: { ...(name ? { name } : {}), ...rest }, status: { containerStatuses: [whole] } };
}

test.each([
  ["CrashLoopBackOff", "CrashLooping"],
  ["ErrImagePull", "ImagePullFailed"],
  ["CreateContainerConfigError", "ConfigMissing"],
])("a pod that waits for %s is %s", (reason, expected) => {
  const told = findPodFault([pod("p", { state: { waiting: { reason, message: "why" } } })]);
  expect(told).toEqual({ reason: expected, message: `container "worker" of pod "p": ${reason}: why` });
  expect(findPodFault([pod(undefined, { state: { waiting: { reason } } })])?.reason).toBe(expected);
});

test("a container between two crashes is crashing too; one that starts, runs or goes is not", () => {
  const ended = { lastState: { terminated: { exitCode: 1 } } };
  const crashing = { state: { running: {} }, restartCount: 3, ...ended };
  expect(findPodFault([pod("b", crashing), pod("a", crashing)])?.message).toContain('pod "a" ended 3 times');
  expect(findPodFault([pod("p", { ...crashing, ready: true })])).toBeUndefined();
  expect(findPodFault([pod("p", { ...crashing, restartCount: 2 })])).toBeUndefined();
  expect(findPodFault([pod("p", { state: { running: {} }, restartCount: 3 })])).toBeUndefined();
  expect(findPodFault([pod("p", { state: { waiting: { reason: "ContainerCreating" } } })])).toBeUndefined();
  expect(findPodFault([pod("p", crashing, { deletionTimestamp: "2026-01-01T00:00:00Z" })])).toBeUndefined();
  expect(findPodFault([{ metadata: { name: "p" } }, {}])).toBeUndefined();
  expect(findPodFault([{}, pod("a", crashing), pod("b", crashing)])?.message).toContain('pod "a"');
});

function version(buildId: string, phase: Version["phase"], sinceMs = 0): Version {
  return { buildId, phase, sinceMs, rampPercent: undefined };
}

test("old builds make room when they are drained, the longest drained first, and else hold the next one up", () => {
  const versions = [
    version("c", "Current"),
    version("d1", "Drained", 2),
    version("d2", "Drained", 1),
    version("g", "Draining"),
  ];
  const ask = (maxVersions: number, targetBuildId = "new"): unknown =>
    admitTarget(versions, { targetBuildId, maxVersions });
  expect(ask(4)).toEqual({ kind: "Admitted", evicted: [] });
  expect(ask(3)).toEqual({ kind: "Admitted", evicted: ["d2"] });
  expect(ask(2)).toEqual({ kind: "Admitted", evicted: ["d2", "d1"] });
  expect(ask(1)).toMatchObject({ kind: "TooManyBuilds", message: expect.stringContaining('"g"') as string });
  expect(ask(1, "g")).toEqual({ kind: "Admitted", evicted: [] });
});

function deletion(spec: Manifest, rest: Partial<DeletionFacts> = {}): ReturnType<typeof decideDeletion> {
  return decideDeletion({
    deletion: taskQueue({ deletion: spec }).spec.deletion,
    deletedMs: 0,
    nowMs: 1_000,
    isNamespaceTerminating: false,
    work: { kind: "Counted", openRuns: 2, inFlight: 1 },
    ...rest,
  });
}

test("a queue waits for its work, says what keeps it, and looks again in time for its end", () => {
  expect(deletion({})).toMatchObject({
    kind: "Wait",
    reason: "Deleting",
    message: expect.stringContaining("2 open runs and 1 tasks in flight") as string,
    lookAgainMs: 5_000,
  });
  expect(deletion({ timeout: "3s" })).toMatchObject({ lookAgainMs: 2_000 });
  const work = { kind: "Unreachable", message: "no answer" } as const;
  expect(deletion({}, { work })).toMatchObject({ message: expect.stringContaining("no answer") as string });
});

test("nothing but work that still goes on holds a queue beyond its timeout, and that only when it is asked to", () => {
  const late = { nowMs: 600_000 };
  const work = { kind: "Unreachable", message: "no answer" } as const;
  expect(deletion({}, late)).toMatchObject({ kind: "Release", isTimedOut: true });
  expect(deletion({ onTimeout: "Keep" }, late)).toMatchObject({ kind: "Wait", reason: "TimedOut" });
  expect(deletion({ onTimeout: "Keep" }, { ...late, work })).toMatchObject({ kind: "Release" });
});

test.each<[string, Manifest, Partial<DeletionFacts>]>([
  ["it is forced", { mode: "Force" }, {}],
  ["its namespace goes", {}, { isNamespaceTerminating: true }],
  ["its Store is gone", {}, { work: { kind: "StoreGone" } }],
  ["it has drained", {}, { work: { kind: "Counted", openRuns: 0, inFlight: 0 } }],
])("a queue goes at once when %s", (_why, spec, facts) => {
  expect(deletion({ onTimeout: "Keep", ...spec }, facts)).toMatchObject({
    kind: "Release",
    isTimedOut: false,
  });
});
