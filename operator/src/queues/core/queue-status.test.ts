/** What a TaskQueue says of itself. */
import { expect, test } from "vitest";
import { queueClaims } from "./queue-claims.ts";
import type { ClaimFacts } from "./queue-claims.ts";
import { newEvents, queueStatus } from "./queue-status.ts";
import type { BuildCounts, StatusFacts } from "./queue-status.ts";
import type { Version, VersionEvent } from "./rollout-facts.ts";

const SERVING: ClaimFacts = {
  store: undefined,
  code: undefined,
  progress: { reason: "RolloutComplete", message: "done" },
  current: { buildId: "b1", desired: 2, ready: 1, fault: undefined },
  draining: [],
  deletion: undefined,
};

/** Each condition as `status reason`. */
function claims(facts: Partial<ClaimFacts>): Record<string, string> {
  return Object.fromEntries(
    queueClaims({ ...SERVING, ...facts }).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  );
}

test("a queue that serves says so in all conditions", () => {
  expect(claims({})).toEqual({
    Ready: "True Serving",
    Available: "True MinimumReplicasReady",
    Progressing: "False RolloutComplete",
    Draining: "False NothingToDrain",
    StoreReady: "True StoreReady",
    CodeReady: "True SourceReady",
  });
});

test("a queue at zero is ready and available", () => {
  const current = { buildId: "b1", desired: 0, ready: 0, fault: undefined };
  expect(claims({ current })).toMatchObject({ Ready: "True ScaledToZero", Available: "True ScaledToZero" });
});

test.each<[string, Partial<ClaimFacts>]>([
  [
    "Deleting",
    { deletion: { reason: "Deleting", message: "runs" }, store: { reason: "StoreNotFound", message: "" } },
  ],
  ["StoreNotReady", { store: { reason: "StoreNotReady", message: "" }, progress: undefined }],
  ["CodeNotReady", { code: { reason: "NoInlineCode", message: "" }, progress: undefined }],
  ["RolloutInProgress", { progress: undefined }],
  ["RolloutInProgress", { progress: { reason: "GateFailed", message: "" } }],
  ["WorkersNotReady", { current: { buildId: "b1", desired: 1, ready: 0, fault: undefined } }],
])("Ready is False %s, the nearest cause first", (reason, facts) => {
  expect(claims(facts)).toMatchObject({ Ready: `False ${reason}` });
});

test.each([
  ["CrashLooping", "CrashLooping"],
  ["ImagePullFailed", "ImagePullFailed"],
  ["ConfigMissing", "MinimumReplicasNotReady"],
] as const)("workers that are %s are told as %s", (reason, told) => {
  const current = { buildId: "b1", desired: 1, ready: 0, fault: { reason, message: "pod p" } };
  expect(claims({ current })).toMatchObject({ Available: `False ${told}` });
});

test("without a current build nothing is available, and unknown progress is not claimed", () => {
  const told = claims({ current: undefined, progress: undefined });
  expect(told).toMatchObject({ Available: "False MinimumReplicasNotReady" });
  expect(told).not.toHaveProperty("Progressing");
});

test("what is on its way is True, what stands still is False", () => {
  expect(claims({ progress: { reason: "Ramping", message: "" } })).toMatchObject({
    Progressing: "True Ramping",
  });
  expect(claims({ progress: { reason: "TooManyBuilds", message: "" } })["Progressing"]).toBe(
    "True TooManyBuilds",
  );
  expect(claims({ progress: { reason: "InvalidTemplate", message: "" } })["Progressing"]).toBe(
    "False InvalidTemplate",
  );
});

test("draining names builds and their open runs, or what keeps a queue that goes", () => {
  const draining = [
    { buildId: "b0", openRuns: 3 },
    { buildId: "a9", openRuns: undefined },
  ];
  const claim = queueClaims({ ...SERVING, draining }).find(({ type }) => type === "Draining");
  expect(claim).toMatchObject({
    status: "True",
    reason: "PinnedRuns",
    message: 'build "b0": 3 open runs, build "a9": ? open runs',
  });
  expect(claims({ deletion: { reason: "TimedOut", message: "" } })).toMatchObject({
    Draining: "True TimedOut",
  });
});

function version(buildId: string, phase: Version["phase"], sinceMs = 0, rampPercent?: number): Version {
  return { buildId, phase, sinceMs, rampPercent };
}

const COUNTS: BuildCounts = {
  replicas: 2,
  readyReplicas: 1,
  actualReplicas: 3,
  openRuns: 5,
  unowned: 4,
  revision: "r",
};

function status(rest: Partial<StatusFacts>): ReturnType<typeof queueStatus> {
  return queueStatus({
    generation: 7,
    selector: "s",
    targetBuildId: "t",
    versions: [],
    countsOf: () => COUNTS,
    lastPromotion: "p",
    conditions: [],
    ...rest,
  });
}

test("the status sums up the builds, who gets new runs first", () => {
  const versions = [
    version("d1", "Draining", 1),
    version("d2", "Draining", 2),
    version("a2", "Drained", 1),
    version("a1", "Drained", 1),
    version("a3", "Drained", 1),
    version("r", "Ramping", 0, 20),
    version("c", "Current"),
  ];
  const told = status({ versions });
  expect(told).toMatchObject({
    observedGeneration: 7,
    replicas: 21,
    readyReplicas: 7,
    currentBuildId: "c",
    targetBuildId: "t",
    lastPromotion: "p",
  });
  expect(told.versions?.map(({ buildId }) => buildId)).toEqual(["c", "r", "d2", "d1", "a1", "a2", "a3"]);
  expect(told.versions?.[0]).toEqual({
    buildId: "c",
    phase: "Current",
    replicas: 2,
    readyReplicas: 1,
    revision: "r",
    since: "1970-01-01T00:00:00.000Z",
  });
  expect(told.versions?.[1]).toMatchObject({ rampPercent: 20, pinnedRuns: 5, unassigned: 4 });
});

test("what is not known is not said", () => {
  const counts = { ...COUNTS, openRuns: undefined, unowned: undefined, revision: undefined };
  const told = status({
    generation: undefined,
    targetBuildId: undefined,
    lastPromotion: undefined,
    versions: [version("z", "Pending"), version("y", "Pending")],
    countsOf: () => counts,
  });
  expect(Object.keys(told)).toEqual(["replicas", "readyReplicas", "selector", "versions", "conditions"]);
  expect(Object.keys(told.versions?.[0] ?? {})).toEqual([
    "buildId",
    "phase",
    "replicas",
    "readyReplicas",
    "since",
  ]);
});

test("what only persists is no Event", () => {
  const failed: VersionEvent = { type: "Warning", reason: "GateFailed", note: "n" };
  const promoted: VersionEvent = { type: "Normal", reason: "VersionPromoted", note: "n" };
  const progressing = (message: string): Parameters<typeof newEvents>[2] => [
    {
      type: "Progressing",
      status: "False",
      reason: "GateFailed",
      message,
      lastTransitionTime: "2026-01-01T00:00:00Z",
    },
  ];
  expect(newEvents([failed, promoted], undefined, progressing("a"))).toEqual([failed, promoted]);
  expect(newEvents([failed, promoted], progressing("a"), progressing("a"))).toEqual([promoted]);
  expect(newEvents([failed], progressing("a"), progressing("b"))).toEqual([failed]);
});
