/** The conditions and Events of a TaskQueue, each word with what it means and what to do. */
import type { ConditionCatalog } from "../../conditions.ts";

/** The conditions of a TaskQueue with their reasons. */
export const TASK_QUEUE_CONDITIONS = {
  Ready: {
    meaning:
      "The queue is served as asked: its Store is ready, its code runs, new runs go to the build of the spec.",
    reasons: {
      Serving: "Workers are ready and new runs go to the build of the spec.",
      ScaledToZero: "The queue is idle and has no workers; the next task wakes it.",
      StoreNotReady: "See StoreReady.",
      CodeNotReady: "See CodeReady.",
      RolloutInProgress: "See Progressing.",
      WorkersNotReady: "See Available.",
      Deleting: "The queue is being deleted.",
    },
  },
  Available: {
    meaning: "At least one worker of the current build is ready, or the queue is at zero as it should be.",
    reasons: {
      MinimumReplicasReady: "Enough workers are ready.",
      ScaledToZero: "The queue is idle and has no workers.",
      MinimumReplicasNotReady: "Workers are missing; look at the Events of the Deployment and its pods.",
      CrashLooping: "Workers end again and again: `kubectl logs` of a pod says why.",
      ImagePullFailed: "The image can't be pulled: check its name and pullSecrets.",
    },
  },
  Progressing: {
    meaning: "A new build is on its way to be the current one.",
    reasons: {
      RolloutComplete: "The build of the spec is the current one.",
      NewBuildStarting: "The new build has no ready worker yet.",
      GateRunning: "The gate's run is under way.",
      GateFailed: "The gate's run failed: new runs stay on the old build. Fix the code, or change the gate.",
      GateTimedOut: "The gate's run took longer than gate.timeout.",
      Ramping: "New runs are moving step by step.",
      WaitingForPromotion: "Strategy Manual: set the annotation memflow.io/promote to the build id.",
      TooManyBuilds: "draining.maxVersions builds are draining: wait, or end their runs.",
      InvalidTemplate: "The pod template or an open field is refused; the message has the answer.",
    },
  },
  ScalingActive: {
    meaning: "The operator observes the queue and decides on its replicas.",
    reasons: {
      Observed: "The last observation succeeded.",
      ObservationFailed: "The database did not answer; replicas are held.",
      ExternalMode: "scaling.mode is External: an autoscaler decides through /scale.",
      ManualMode: "scaling.mode is Manual: spec.replicas decides.",
      Paused: "scaling.paused freezes both directions.",
    },
  },
  ScalingLimited: {
    meaning: "The decided replicas differ from what the formula asks for.",
    reasons: {
      NotLimited: "They are the same.",
      TooFewReplicas: "minReplicas asks for more.",
      TooManyReplicas: "maxReplicas allows no more: raise it if tasks wait too long.",
      Stabilization: "A recommendation inside the stabilization window is more cautious.",
      StepLimit: "behavior allows no larger change in one period.",
      Cooldown: "The queue goes to zero when the cooldown is over.",
      InFlight: "Workers with tasks in flight are kept.",
      Tolerance: "The difference is within tolerancePercent.",
      Paused: "scaling.paused freezes this direction.",
      MetricsUnavailable: "The queue can't be observed: onMetricsError holds.",
    },
  },
  Draining: {
    meaning: "Old builds still have open runs, or the queue is being deleted and drains.",
    reasons: {
      NothingToDrain: "There is the current build only.",
      PinnedRuns: "The message names builds and their open runs.",
      Deleting: "The message names what keeps the queue: open runs and tasks in flight.",
      TimedOut: "deletion.timeout is over; deletion.onTimeout says what follows.",
    },
  },
  StoreReady: {
    meaning: "The Store that storeRef names is ready.",
    reasons: {
      StoreReady: "It is.",
      StoreNotFound: "There is no Store of that name in this Kubernetes namespace: apply it.",
      StoreNotReady: "Its own conditions say why.",
      QueueNameTaken: "Another TaskQueue has the same queueName in that Store: delete one of them.",
    },
  },
  CodeReady: {
    meaning: "The source of the workers is there.",
    reasons: {
      SourceReady: "It is.",
      ConfigMapNotFound: "The ConfigMap is not there: create it.",
      EntrypointNotFound: "The ConfigMap, or the Workflows' own code, has no such file.",
      NoInlineCode: "source.code names no ConfigMap and no Workflow of the queue has spec.code.",
      SecretNotFound: "A Secret or ConfigMap of env or envFrom is not there.",
      ImageVolumeUnsupported: "The cluster has no image volumes: put the code into an image.",
    },
  },
} as const satisfies ConditionCatalog;

/** The Events of a TaskQueue. */
export const TASK_QUEUE_EVENTS = {
  ScaledUp: "Replicas were added; the message has the observation and the formula's figure.",
  ScaledDown: "Replicas were removed.",
  ScaledToZero: "The queue was idle for its cooldown.",
  Activated: "A task woke the queue at zero.",
  ScalingHeld: "The queue can't be observed; replicas stay as they are.",
  ScalingResumed: "The queue is observed again.",
  VersionCreated: "A new build has a Deployment.",
  VersionPromoted: "New runs go to another build.",
  VersionDrained: "A build has no open run any more.",
  VersionDeleted: "A drained build's Deployment was deleted.",
  GateStarted: "The gate's run was started.",
  GateFailed: "The gate's run failed or timed out.",
  RolloutBlocked: "A rollout waits; Progressing says for what.",
  DrainTimedOut: "Deletion did not drain in time.",
  StoreNotReady: "Workers are not made, for their Store is not ready.",
} as const;
