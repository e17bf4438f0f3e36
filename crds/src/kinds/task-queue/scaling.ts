/**
 * `spec.scaling` of a TaskQueue: how many replicas, by what, how fast.
 *
 * Names and defaults of `behavior` and `tolerancePercent` are those of Kubernetes' HorizontalPodAutoscaler.
 */
import { z } from "zod";
import { duration } from "../../durations.ts";
import { integer } from "../../fields.ts";
import { withRules } from "../../rules.ts";

/** Most replicas of a queue. */
export const REPLICAS_MAX = 1_000;
const TASKS_MAX = 1_000_000;
const SLOTS_MAX = 100_000;
/** As much as an autoscaler of Kubernetes allows. */
const STABILIZATION_MAX = "1h";
const PERIOD_MAX = "30m";

const activation = z.strictObject({
  backlog: integer(1, TASKS_MAX).default(1).describe("Ready tasks that wake a queue at zero."),
  via: z
    .enum(["NotifyAndPoll", "Poll"])
    .default("NotifyAndPoll")
    .describe(
      "How new tasks are noticed at zero: at once by NOTIFY with polling as the net, or by polling alone.",
    ),
});

/** One direction of scaling; `maxPods` has no default where nothing but the percentage shall limit. */
function direction(stabilization: string) {
  return {
    stabilization: duration("0s", STABILIZATION_MAX)
      .default(stabilization)
      .describe("How far back recommendations are looked at; the most cautious one counts."),
    maxPercent: integer(1, 10_000)
      .default(100)
      .describe("Most change in one period, in percent of the replicas."),
    period: duration("1s", PERIOD_MAX).default("15s").describe("The period of maxPercent and maxPods."),
  };
}

const maxPods = integer(1, REPLICAS_MAX);
const behavior = z.strictObject({
  scaleUp: z
    .strictObject({
      ...direction("0s"),
      maxPods: maxPods
        .default(4)
        .describe("Most replicas added in one period; the larger of this and maxPercent counts."),
    })
    .prefault({})
    .describe("How fast replicas are added."),
  scaleDown: z
    .strictObject({
      ...direction("5m"),
      maxPods: maxPods
        .optional()
        .describe("Most replicas removed in one period; the larger of this and maxPercent counts."),
    })
    .prefault({})
    .describe("How fast replicas are removed."),
});

const onMetricsError = withRules(
  z.strictObject({
    afterFailures: integer(1, 100)
      .default(3)
      .describe("Failed observations in a row before the queue counts as unobserved."),
    behavior: z
      .enum(["Hold", "HoldIfHigher"])
      .default("Hold")
      .describe("Hold keeps the replicas as they are, HoldIfHigher too but raises them to `replicas`."),
    replicas: integer(0, REPLICAS_MAX).optional().describe("With HoldIfHigher: least replicas meanwhile."),
  }),
  [
    {
      cel: "(self.behavior == 'HoldIfHigher') == has(self.replicas)",
      message: "is required with behavior HoldIfHigher, and must be left out with Hold",
      field: ["replicas"],
      holds: (self) => (self.behavior === "HoldIfHigher") === (self.replicas !== undefined),
    },
  ],
);

/** The whole of `spec.scaling`. */
export const scaling = withRules(
  z.strictObject({
    mode: z
      .enum(["Operator", "External", "Manual"])
      .default("Operator")
      .describe(
        "Who decides: the operator by what it observes, an autoscaler through /scale, or you by spec.replicas. With External and Manual the other fields but `paused` are not read.",
      ),
    minReplicas: integer(0, REPLICAS_MAX)
      .default(0)
      .describe("Least replicas; 0 lets an idle queue cost nothing."),
    maxReplicas: integer(1, REPLICAS_MAX).default(10).describe("Most replicas."),
    targetBacklogPerReplica: integer(1, TASKS_MAX)
      .default(10)
      .describe("Ready tasks that one replica should find."),
    targetScheduleToStart: duration("100ms", "24h")
      .optional()
      .describe("Age of the oldest ready task that asks for more replicas; age is no signal when left out."),
    slotsPerReplica: integer(1, SLOTS_MAX).default(100).describe("Tasks that one replica works on at once."),
    targetSlotUtilization: integer(10, 100)
      .default(75)
      .describe("Percent of the slots that should be in use."),
    activation: activation.prefault({}).describe("What wakes a queue at zero."),
    timerLookahead: duration("0s", "1h")
      .default("30s")
      .describe("How long before a due timer workers are there."),
    pollInterval: duration("1s", "5m")
      .default("5s")
      .describe("How often the queue is observed without a wake-up."),
    cooldown: duration("0s", "24h")
      .default("5m")
      .describe(
        "How long a queue has no backlog, nothing in flight and no timer ahead before it goes to zero.",
      ),
    behavior: behavior.prefault({}).describe("How fast replicas change."),
    tolerancePercent: integer(0, 50)
      .default(10)
      .describe("Difference between wanted and present replicas that is ignored, in percent."),
    onMetricsError: onMetricsError
      .prefault({})
      .describe("What happens while the queue can't be observed; replicas are never lowered then."),
    paused: z
      .strictObject({
        scaleIn: z.boolean().default(false).describe("No replica is removed."),
        scaleOut: z.boolean().default(false).describe("No replica is added."),
      })
      .prefault({})
      .describe("Freezes scaling in one direction or both."),
  }),
  [
    {
      cel: "self.minReplicas <= self.maxReplicas",
      message: "must be <= maxReplicas",
      field: ["minReplicas"],
      holds: (self) => self.minReplicas <= self.maxReplicas,
    },
    {
      cel: "!has(self.onMetricsError.replicas) || self.onMetricsError.replicas <= self.maxReplicas",
      message: "must be <= scaling.maxReplicas",
      field: ["onMetricsError", "replicas"],
      holds: (self) => (self.onMetricsError.replicas ?? 0) <= self.maxReplicas,
    },
  ],
);
