/** Manifests are read as a cluster would read them, and every fault names its line, its path and what it must be. */
import { expect, test } from "vitest";
import { durationMs } from "./durations.ts";
import { queueNameOf } from "./kinds/task-queue.ts";
import { workflowNameOf } from "./kinds/workflow.ts";
import { ManifestError } from "./manifest-error.ts";
import { parseManifests } from "./parse-manifests.ts";

const STORE = `apiVersion: memflow.io/v1alpha1
kind: Store
metadata:
  name: main
spec:
  connection:
    secretRef: {name: postgres}
`;

const TASK_QUEUE = `apiVersion: memflow.io/v1alpha1
kind: TaskQueue
metadata:
  name: research
spec:
  storeRef: {name: main}
  scaling:
    minReplicas: 1
    maxReplicas: 3
  workers:
    source:
      image: {ref: example/agent:1}
    env:
      - {name: LEVEL, value: info}
`;

const WORKFLOW = `apiVersion: memflow.io/v1alpha1
kind: Workflow
metadata:
  name: research-agent
  annotations:
    memflow.io/dev-input: |
      {"question": "why"}
spec:
  taskQueueRef: {name: research}
  workflowName: researchAgent
`;

function parse(...texts: readonly string[]): ReturnType<typeof parseManifests> {
  return parseManifests(texts.map((text, index) => ({ path: `file-${index + 1}.yaml`, text })));
}

/** Every fault as it is shown. */
function faults(...texts: readonly string[]): string[] {
  try {
    parse(...texts);
  } catch (error) {
    if (error instanceof ManifestError) return error.message.split("\n");
    throw error;
  }
  return [];
}

test("three kinds in one file or in three give the same resources, resolved and with defaults", () => {
  const together = parse([STORE, TASK_QUEUE, WORKFLOW].join("---\n"));
  const apart = parse(WORKFLOW, TASK_QUEUE, STORE);
  expect(together.workflows.map((workflow) => workflow.resource)).toEqual(
    apart.workflows.map((workflow) => workflow.resource),
  );
  const [workflow] = together.workflows;
  const [taskQueue] = together.taskQueues;
  expect(workflow && workflowNameOf(workflow.resource)).toBe("researchAgent");
  expect(workflow && queueNameOf(workflow.taskQueue)).toBe("research");
  expect(taskQueue?.store.spec).toMatchObject({ schema: "memflow", deletionPolicy: "Retain" });
  expect(taskQueue?.resource.spec.scaling).toMatchObject({
    mode: "Operator",
    cooldown: "5m",
    slotsPerReplica: 100,
  });
  expect(workflow?.resource.metadata.annotations["memflow.io/dev-input"]).toBe('{"question": "why"}\n');
  expect(workflow).toMatchObject({ file: "file-1.yaml", line: 24 });
});

test("a value out of bounds is shown with its line, its path and the bound", () => {
  const text = TASK_QUEUE.replace("maxReplicas: 3", "maxReplicas: 0");
  expect(faults(STORE, text)).toContain("file-2.yaml:9: spec.scaling.maxReplicas: got 0, must be >= 1");
});

test("all faults of all files are shown at once", () => {
  const taskQueue = TASK_QUEUE.replace("minReplicas: 1", "minReplicas: many").replace("info", "[1, 2]");
  const store = STORE.replace("name: main", "name: Main").replace("{name: postgres}", "{}");
  expect(faults(store, taskQueue)).toEqual([
    'file-1.yaml:4: metadata.name: got "Main", must have a metadata.name of <= 63 lower-case letters, digits and "-" that begins and ends with a letter or digit',
    "file-1.yaml:7: spec.connection.secretRef.name: is missing",
    'file-2.yaml:8: spec.scaling.minReplicas: got "many", must be a number',
    "file-2.yaml:14: spec.workers.env[0].value: got [1,2], must be a string",
  ]);
});

test("an unknown field is refused by name, on its own line", () => {
  const text = TASK_QUEUE.replace("    maxReplicas: 3", "    maxReplicas: 3\n    maxReplica: 4");
  expect(faults(STORE, text)).toEqual(["file-2.yaml:10: spec.scaling.maxReplica: unknown field"]);
});

test("rules over several fields name what they compare", () => {
  const reversed = TASK_QUEUE.replace("minReplicas: 1", "minReplicas: 4");
  expect(faults(STORE, reversed)).toEqual([
    "file-2.yaml:8: spec.scaling.minReplicas: got 4, must be <= maxReplicas",
  ]);
  const twice = TASK_QUEUE.replace(
    "image: {ref: example/agent:1}",
    "image: {ref: a}\n      artifact: {image: b}",
  );
  expect(faults(STORE, twice)).toEqual([
    "file-2.yaml:11: spec.workers.source: must have exactly one of image, code and artifact",
  ]);
  const manual = TASK_QUEUE.replace("minReplicas: 1", "mode: Manual");
  expect(faults(STORE, manual)).toEqual([
    "file-2.yaml:5: spec.replicas: is required with scaling.mode Manual",
  ]);
});

test("a reference to a resource that is not there is a fault of the one that refers", () => {
  expect(faults(TASK_QUEUE)).toEqual([
    'file-1.yaml:6: spec.storeRef.name: Store "main" not found in the given files',
  ]);
  expect(faults(STORE, WORKFLOW)).toEqual([
    'file-2.yaml:9: spec.taskQueueRef.name: TaskQueue "research" not found in the given files',
  ]);
});

test("references stay in their Kubernetes namespace", () => {
  const elsewhere = STORE.replace("name: main", "name: main\n  namespace: other");
  expect(faults(elsewhere, TASK_QUEUE)).toHaveLength(1);
  expect(
    faults(elsewhere, TASK_QUEUE.replace("name: research", "name: research\n  namespace: other")),
  ).toEqual([]);
});

test("one name for two resources of a kind, or two names for one queue, is a fault", () => {
  expect(faults(STORE, STORE)).toEqual([
    'file-2.yaml:4: metadata.name: Store "main" stands already at file-1.yaml:4',
  ]);
  const alias = TASK_QUEUE.replace("name: research", "name: other").replace(
    "storeRef",
    "queueName: research\n  storeRef",
  );
  expect(faults(STORE, TASK_QUEUE, alias)).toEqual([
    'file-3.yaml:6: spec.queueName: queue "research" of Store "main" is declared by "research" already',
  ]);
});

test("bad YAML is shown with its line", () => {
  expect(faults("a: 1\nb: [1, 2\nc: 3\n")[0]).toMatch(/^file-1\.yaml:\d+: bad YAML: /u);
  expect(faults("a: 1\na: 2\n")[0]).toBe("file-1.yaml:2: bad YAML: Map keys must be unique");
  expect(faults("a: *nothing\n")[0]).toMatch(/^file-1\.yaml:1: bad YAML: /u);
  expect(faults("just words\n")).toEqual([
    "file-1.yaml:1: must be a map with apiVersion, kind, metadata and spec",
  ]);
});

test("other groups are left alone, other kinds and versions of ours are not", () => {
  const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {uri: y}\n";
  expect(faults(STORE, secret)).toEqual([]);
  expect(faults(STORE.replace("kind: Store", "kind: Shop"))).toEqual([
    'file-1.yaml:2: kind: got "Shop", must be one of Store, TaskQueue, Workflow, Schedule',
  ]);
  expect(faults(STORE.replace("v1alpha1", "v9"))).toEqual([
    'file-1.yaml:1: apiVersion: got "memflow.io/v9", must be "memflow.io/v1alpha1"',
  ]);
  expect(faults("kind: Store\n")).toHaveLength(1);
});

test("a bare yes means what it means to a cluster: no text", () => {
  const text = TASK_QUEUE.replace("value: info", "value: yes");
  expect(faults(STORE, text)).toEqual([
    "file-2.yaml:14: spec.workers.env[0].value: got true, must be a string",
  ]);
  expect(faults(STORE, TASK_QUEUE.replace("value: info", "value: 2026-01-01"))).toEqual([]);
});

test("schemas of Postgres itself, and public, are never a Store's", () => {
  for (const schema of ["public", "pg_catalog", "pg_mine", "information_schema", "Upper"]) {
    expect(faults(STORE.replace("spec:", `spec:\n  schema: ${schema}`))).toHaveLength(1);
  }
});

test("durations add up and become milliseconds in one place", () => {
  expect(["250ms", "30s", "1h30m", "0s"].map(durationMs)).toEqual([250, 30_000, 5_400_000, 0]);
  expect(faults(STORE.replace("spec:", "spec:\n  retention: {completed: 30}"))).toEqual([
    "file-1.yaml:6: spec.retention.completed: got 30, must be a string",
  ]);
  expect(faults(STORE.replace("spec:", "spec:\n  retention: {completed: 1 day}"))[0]).toContain(
    "must be a duration",
  );
});

test("a file past the size of a request is refused before it is read", () => {
  expect(faults(`# ${"x".repeat(4 * 1024 * 1024)}\n`)[0]).toContain("must be <= 3145728");
});

const SCHEDULE = `apiVersion: memflow.io/v1alpha1
kind: Schedule
metadata:
  name: nightly
spec:
  workflowRef: {name: research-agent}
  when:
    cron: ["30 2 * * *"]
`;

test("a Schedule is read with the Workflow of which it starts runs", () => {
  const { schedules } = parse(SCHEDULE, WORKFLOW, TASK_QUEUE, STORE);
  expect(schedules.map(({ workflow }) => workflow.metadata.name)).toEqual(["research-agent"]);
  expect(schedules[0]?.resource.spec).toMatchObject({
    overlap: "Skip",
    catchupWindow: "1m",
    when: { timeZone: "UTC" },
  });
  expect(faults(SCHEDULE)).toEqual([
    'file-1.yaml:6: spec.workflowRef.name: Workflow "research-agent" not found in the given files',
  ]);
});

test("cron expressions know the range of each field", () => {
  const at = (expression: string): string => SCHEDULE.replace("30 2 * * *", expression);
  const all = (text: string): string[] => faults(text, WORKFLOW, TASK_QUEUE, STORE);
  for (const good of [
    "*/15 * * * *",
    "0 0 1 1 *",
    "59 23 31 12 7",
    "0 9-17/2 * JAN,DEC MON-FRI",
    "@hourly",
  ]) {
    expect(all(at(good))).toEqual([]);
  }
  for (const bad of [
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "* * * *",
    "@often",
  ]) {
    expect(all(at(bad))).toHaveLength(1);
  }
});

test("a time zone that nobody has is refused here, as the operator reports it on a cluster", () => {
  const text = SCHEDULE.replace("  when:", "  when:\n    timeZone: Europe/Atlantis");
  expect(faults(text, WORKFLOW, TASK_QUEUE, STORE)).toEqual([
    'file-1.yaml:8: spec.when.timeZone: got "Europe/Atlantis", must be a time zone that the IANA database has',
  ]);
});

test("a day that its month does not have is no time", () => {
  const text = SCHEDULE.replace("  when:", '  when:\n    startAt: "2026-02-29T00:00:00Z"');
  expect(faults(text, WORKFLOW, TASK_QUEUE, STORE)[0]).toContain("must be a time like");
  expect(faults(text.replace("2026", "2028"), WORKFLOW, TASK_QUEUE, STORE)).toEqual([]);
});

test("what kubectl get prints is read again: the cluster's own fields are left alone", () => {
  const got = STORE.replace(
    "name: main",
    "name: main\n  uid: 3b0e\n  generation: 4\n  resourceVersion: '17'\n  managedFields: [{manager: kubectl}]",
  ).concat("status: {conditions: [{type: Ready, status: 'True'}], fromALaterVersion: 1}\n");
  expect(faults(got)).toEqual([]);
  expect(faults(got.replace("uid:", "uuid:"))).toEqual(["file-1.yaml:5: metadata.uuid: unknown field"]);
});

test("two entries of a list by keys, or of a set, are not the same", () => {
  const twice = TASK_QUEUE.replace("value: info}", "value: info}\n      - {name: LEVEL, value: debug}");
  expect(faults(STORE, twice)).toEqual([
    'file-2.yaml:15: spec.workers.env[1].name: got "LEVEL", must not be the same as in another entry',
  ]);
  const cron = SCHEDULE.replace('["30 2 * * *"]', '["@daily", "@daily"]');
  expect(faults(cron, WORKFLOW, TASK_QUEUE, STORE)).toEqual([
    'file-1.yaml:8: spec.when.cron[1]: got "@daily", must not stand in the list twice',
  ]);
});

test("quantities are numbers or texts, of any resource", () => {
  const resources = (text: string): string => TASK_QUEUE.concat(`    resources: {limits: ${text}}\n`);
  expect(faults(STORE, resources("{cpu: 2, memory: 512Mi, nvidia.com/gpu: 1}"))).toEqual([]);
  expect(faults(STORE, resources("{cpu: lots}"))).toEqual([
    'file-2.yaml:15: spec.workers.resources.limits.cpu: got "lots", must be a quantity like "250m", 2 or "512Mi"',
  ]);
});
