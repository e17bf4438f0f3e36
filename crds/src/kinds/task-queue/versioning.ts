/** `spec.versioning` of a TaskQueue: builds side by side, how a new one takes over, how old ones go. */
import { z } from "zod";
import { duration } from "../../durations.ts";
import { anyValue, integer, listByKey, text, weightCheck } from "../../fields.ts";
import { formedText } from "../../patterns.ts";
import { withOperatorChecks, withRules } from "../../rules.ts";
import { REPLICAS_MAX } from "./scaling.ts";

/** The current build and the draining ones together; a target that waits for its gate is one more. */
export const BUILDS_MAX = 12;
const DRAINING_MAX = 10;

/** The name of a build; it becomes a label's value. */
export const buildId: z.ZodString = formedText({
  max: 63,
  pattern: /^[a-zA-Z0-9]([-a-zA-Z0-9._]*[a-zA-Z0-9])?$/u,
  message: 'must be letters, digits, "-", "_" and ".", and begin and end with a letter or digit',
});

const steps = withRules(
  listByKey(
    z.strictObject({
      percent: integer(1, 99).describe("Percent of new runs that go to the new build."),
      pause: duration("30s", "168h").describe("How long before the next step."),
    }),
    "percent",
    20,
  ),
  [
    {
      cel: "self.map(step, step.percent).isSorted()",
      message: "must rise in percent from step to step",
      holds: (self) => self.every((step, index) => step.percent >= (self[index - 1]?.percent ?? 0)),
    },
  ],
);

const gate = z.strictObject({
  workflow: text(128).describe("Workflow that is run on the new build; it must complete."),
  input: withOperatorChecks(anyValue, [weightCheck("Progressing", "InvalidTemplate")])
    .optional()
    .describe("Its argument."),
  timeout: duration("1s", "24h").default("10m").describe("How long it may take."),
});

const rollout = withRules(
  z.strictObject({
    strategy: z
      .enum(["AllAtOnce", "Progressive", "Manual"])
      .default("AllAtOnce")
      .describe(
        "How new runs move to a new build: all when it is ready, in steps, or when the annotation memflow.io/promote names it.",
      ),
    steps: steps
      .default([])
      .describe("Steps of a Progressive rollout; after the last one it is 100 percent."),
    gate: gate.optional().describe("A run that must succeed on the new build before any other goes there."),
  }),
  [
    {
      cel: "(self.strategy == 'Progressive') == (size(self.steps) > 0)",
      message: "must have at least one entry with strategy Progressive, and none otherwise",
      field: ["steps"],
      holds: (self) => (self.strategy === "Progressive") === self.steps.length > 0,
    },
  ],
);

const draining = withRules(
  z.strictObject({
    minReplicas: integer(0, REPLICAS_MAX).default(0).describe("Least replicas of a draining build."),
    maxReplicas: integer(1, REPLICAS_MAX).default(2).describe("Most replicas of a draining build."),
    scaledownDelay: duration("0s", "168h")
      .default("10m")
      .describe("How long a drained build keeps its replicas, for a quick way back."),
    deleteDelay: duration("0s", "8760h").default("24h").describe("How long a drained build stays at zero."),
    maxVersions: integer(1, DRAINING_MAX)
      .default(DRAINING_MAX)
      .describe("Draining builds at once; a further rollout waits until one is drained."),
  }),
  [
    {
      cel: "self.minReplicas <= self.maxReplicas",
      message: "must be <= maxReplicas",
      field: ["minReplicas"],
      holds: (self) => self.minReplicas <= self.maxReplicas,
    },
  ],
);

/** The whole of `spec.versioning`. */
export const versioning = withRules(
  z.strictObject({
    buildId: buildId.optional().describe("Name of the build (a hash of the pod template when left out)."),
    strategy: z
      .enum(["Pinned", "AutoUpgrade", "InPlace"])
      .default("Pinned")
      .describe(
        "Pinned: a run ends on the build that it began on. AutoUpgrade: it moves to the current one. InPlace: one Deployment, rolled as Kubernetes does.",
      ),
    rollout: rollout.prefault({}).describe("How a new build takes over."),
    draining: draining.prefault({}).describe("How old builds go."),
  }),
  [
    {
      cel: "self.strategy != 'InPlace' || self.rollout.strategy == 'AllAtOnce'",
      message: "must be AllAtOnce with versioning.strategy InPlace: there is one Deployment only",
      field: ["rollout", "strategy"],
      holds: (self) => self.strategy !== "InPlace" || self.rollout.strategy === "AllAtOnce",
    },
  ],
);
