/**
 * One TaskQueue in the eyes of scaling: what is remembered of it between looks, and one pass of observe, plan and apply.
 *
 * Promises that a pass may end anywhere, for any reason: what it had written stands, the next one begins from what is there.
 * All that is remembered may be lost; then nothing is taken away before its windows were seen anew.
 */
import { queueNameOf } from "@memflow/crds";
import type { TaskQueue } from "@memflow/crds";
import {
  applyStatus,
  BUILD_LABEL,
  conditionsOf,
  FIELD_MANAGERS,
  INDEX,
  readTaskQueue,
  TASK_QUEUES,
} from "../api/index.ts";
import type { OperatorDependencies, TaskQueueObject } from "../api/index.ts";
import {
  backoffMs,
  compareResourceVersions,
  DEPLOYMENTS,
  NotFoundError,
  parseKey,
  PODS,
  retryAfterMsOf,
} from "../kube/index.ts";
import type { Backoff, Deployment, ReconcileContext } from "../kube/index.ts";
import { EMPTY_MEMORY } from "../scaling/core/memory.ts";
import type { ScalingMemory } from "../scaling/core/memory.ts";
import type { UnseenQueue } from "../scaling/core/observation.ts";
import { CORDON_MS, DELETION_COST_ANNOTATION } from "../scaling/core/plan-scale-in.ts";
import { scalingPolicyOf } from "../scaling/core/policy.ts";
import type { ScalingPolicy } from "../scaling/core/policy.ts";
import type { QueueLoad } from "../scaling/core/queue-observation.ts";
import type { BuildDeployment } from "./core/queue-builds.ts";
import { planQueue } from "./core/queue-plan.ts";
import type { BuildPlan, QueuePlan } from "./core/queue-plan.ts";
import {
  backlogOf,
  hasSameFigures,
  inFlightOf,
  isStatusDue,
  oldestAgeMsOf,
  SCALING_CONDITIONS,
  scalingStatus,
  storyOf,
} from "./core/scaling-status.ts";
import type { ToldStatus } from "./core/scaling-status.ts";
import { workerPodOf } from "./core/worker-pods.ts";
import type { Look, ScaledStore } from "./store-watch.ts";

/** What a queue needs of the operator. */
export interface ReplicasDependencies extends Pick<
  OperatorDependencies,
  "events" | "scalingGauges" | "clock"
> {
  readonly followed: Pick<OperatorDependencies["followed"], "taskQueues" | "deployments" | "pods">;
  readonly stores: {
    find(storeKey: string): ScaledStore | undefined;
    onChange: OperatorDependencies["stores"]["onChange"];
  };
}

/** What a pass led to. */
export interface Passed {
  readonly lookAgainInMs: number;
}

/** A worker is cordoned anew when half of its time is over. */
const CORDON_RENEW_MS = CORDON_MS / 2;
/** Pods whose costs are written at a time. */
const COST_WRITES_MAX = 16;
/** A queue that says nothing readable is looked at again when it changes, and so often. */
const UNREADABLE_MS = 60_000;
/** Our own write of a status is seen by then; later, what is there counts. */
const STATUS_SEEN_MS = 15_000;

const BACKOFF: Backoff = { firstMs: 500, maxMs: 60_000 };

interface WrittenScale {
  readonly replicas: number;
  readonly resourceVersion: string;
}

interface ReadSpec {
  readonly object: TaskQueueObject;
  readonly taskQueue: TaskQueue | undefined;
  readonly policy: ScalingPolicy | undefined;
}

/** Everything of one pass. */
interface Pass {
  readonly object: TaskQueueObject;
  readonly look: Look;
  readonly load: QueueLoad | UnseenQueue;
  readonly plan: QueuePlan;
  readonly context: ReconcileContext;
}

/** @see ReplicasController */
export class ScaledQueue {
  readonly key: string;
  readonly storeKey: string;
  readonly #dependencies: ReplicasDependencies;
  #memory: ScalingMemory = EMPTY_MEMORY;
  #spec: ReadSpec | undefined;
  #usedLook = 0;
  /** What Deployments were told, until the reflector shows it. */
  readonly #written = new Map<string, WrittenScale>();
  /** Until when workers are cordoned, by their ids. */
  readonly #cordons = new Map<string, number>();
  #told: { readonly status: ToldStatus; readonly atMs: number } | undefined;
  /** Replicas were changed, which the status does not say yet. */
  #isScaleUntold = false;
  /** Figures or words have changed, which the status says only when it was not written for a while. */
  #isPartUntold = false;
  #isResting = false;
  #touchCount = 0;
  #failureCount = 0;
  #retryAtMs = 0;
  #sleeps = false;
  #wokenMs = -Infinity;
  #ears: { readonly store: ScaledStore; readonly queueName: string; readonly end: () => void } | undefined;

  constructor(object: TaskQueueObject, key: string, dependencies: ReplicasDependencies) {
    this.key = key;
    this.storeKey = storeKeyOf(object);
    this.#dependencies = dependencies;
  }

  /** How often it is to be observed, as its spec says now. */
  get pollMs(): number {
    const object = this.#dependencies.followed.taskQueues.store.get(this.key);
    return (object && this.#read(object).policy?.pollIntervalMs) ?? UNREADABLE_MS;
  }

  /** Something of it changed: it may have to be planned anew though its load is the same. */
  touch(): void {
    this.#touchCount++;
    this.#isResting = false;
  }

  /** Before that, no pass is made: the last one failed. A steady time; 0 when it did not. */
  get retryAtMs(): number {
    return this.#retryAtMs;
  }

  /**
   * Whether a look is news to it: not when it is at zero, as it should be, and still nothing waits; nor while it waits to
   * try again.
   */
  concerns({ answer, endedMs }: Look): boolean {
    if (endedMs < this.#retryAtMs) return false;
    if (!this.#isResting || answer.kind === "Unseen" || this.#spec?.taskQueue === undefined) return true;
    return !isIdle(answer.queue(queueNameOf(this.#spec.taskQueue)));
  }

  /** Whether it can do something with a look: each is used once. */
  awaits({ number }: Look): boolean {
    return number > this.#usedLook;
  }

  /**
   * Observes, plans, applies.
   *
   * @throws When something could not be written; the pass is to be made again.
   */
  async pass(look: Look, context: ReconcileContext): Promise<Passed> {
    // Also when it fails: by the time that it is tried again, a worker that was idle may have got work.
    this.#usedLook = look.number;
    try {
      const passed = await this.#pass(look, context);
      this.#failureCount = 0;
      this.#retryAtMs = 0;
      return passed;
    } catch (error) {
      this.#failureCount++;
      const delayMs = backoffMs(BACKOFF, this.#failureCount, 1, retryAfterMsOf(error));
      this.#retryAtMs = this.#dependencies.clock.steadyMs() + delayMs;
      throw error;
    }
  }

  /**
   * Hears of work in the Store that a look went to, where the TaskQueue wants that.
   *
   * @param onWake - Called when there is work and a build that could be woken by it.
   */
  listen(store: ScaledStore | undefined, onWake: () => void): void {
    const taskQueue = this.#spec?.taskQueue;
    const wanted =
      taskQueue?.spec.scaling.activation.via === "NotifyAndPoll" ? queueNameOf(taskQueue) : undefined;
    if (this.#ears?.store === store && this.#ears?.queueName === wanted) return;
    this.#ears?.end();
    this.#ears = undefined;
    if (store === undefined || wanted === undefined) return;
    const end = store.onWork(wanted, () => {
      this.#wokenMs = this.#dependencies.clock.steadyMs();
      if (this.#sleeps) onWake();
    });
    this.#ears = { store, queueName: wanted, end };
  }

  /** True when work came after a look that left it asleep: nobody was told of that yet. */
  wasWokenSince({ beganMs }: Look): boolean {
    return this.#sleeps && this.#wokenMs >= beganMs;
  }

  /** The queue is gone, or no longer ours. */
  close(): void {
    this.#ears?.end();
    this.#ears = undefined;
    this.#dependencies.scalingGauges.remove(this.key);
  }

  async #pass(look: Look, context: ReconcileContext): Promise<Passed> {
    const touchCount = this.#touchCount;
    const object = this.#dependencies.followed.taskQueues.store.get(this.key);
    const { taskQueue, policy } = object === undefined ? {} : this.#read(object);
    // What can't be read is told by who looks after the TaskQueue; nothing is done by halves.
    if (object === undefined || taskQueue === undefined || policy === undefined || isForced(taskQueue)) {
      return { lookAgainInMs: UNREADABLE_MS };
    }
    const { answer } = look;
    const queueName = queueNameOf(taskQueue);
    const load = answer.kind === "Seen" ? answer.queue(queueName) : answer;
    const plan = planQueue({
      queueName,
      annotations: taskQueue.metadata.annotations ?? {},
      versions: object.status?.versions ?? [],
      policy,
      deployments: this.#deployments(),
      pods: this.#dependencies.followed.pods.store.find(INDEX.taskQueue, this.key).map(workerPodOf),
      load,
      atMs: look.endedMs,
      wallMs: this.#dependencies.clock.wallTime().getTime(),
      memory: this.#memory,
    });
    this.#memory = plan.memory;
    const pass: Pass = { object, look, load, plan, context };
    this.#tellOutage(pass);
    await this.#apply(pass);
    await this.#tell(pass);
    this.#setGauges(pass);
    this.#settle(pass, touchCount);
    return { lookAgainInMs: plan.decision.lookAgainInMs };
  }

  #read(object: TaskQueueObject): ReadSpec {
    if (this.#spec?.object === object) return this.#spec;
    const read = readTaskQueue(object);
    const taskQueue = read.kind === "Read" ? read.resource : undefined;
    const policy = taskQueue && scalingPolicyOf(taskQueue.spec);
    this.#spec = { object, taskQueue, policy };
    return this.#spec;
  }

  #deployments(): readonly BuildDeployment[] {
    const found = this.#dependencies.followed.deployments.store.find(INDEX.taskQueue, this.key);
    return found
      .filter(({ metadata }) => metadata?.deletionTimestamp === undefined)
      .map((deployment) => ({
        name: deployment.metadata?.name ?? "",
        buildId: deployment.metadata?.labels?.[BUILD_LABEL] ?? "",
        desired: this.#desiredOf(deployment),
        ready: deployment.status?.readyReplicas ?? 0,
      }));
  }

  /** What the Deployment asks for, also while the reflector does not show our own write yet. */
  #desiredOf({ metadata, spec }: Deployment): number {
    const name = metadata?.name ?? "";
    const written = this.#written.get(name);
    if (written !== undefined) {
      const order = compareResourceVersions(metadata?.resourceVersion ?? "", written.resourceVersion);
      if (order !== undefined && order < 0) return written.replicas;
      this.#written.delete(name);
    }
    return spec?.replicas ?? 1;
  }

  async #apply({ object, look, plan, context }: Pass): Promise<void> {
    // More comes before less: who waits is served first.
    const builds = plan.builds.toSorted(
      (left, right) =>
        right.scaleIn.replicas - right.deployment.desired - left.scaleIn.replicas + left.deployment.desired,
    );
    for (const build of builds) await this.#scale(object, build, context);
    if (look.answer.kind === "Seen") await this.#cordon(plan, look, context);
    await this.#writeCosts(plan, context);
  }

  async #scale(
    object: TaskQueueObject,
    build: BuildPlan,
    { client, signal }: ReconcileContext,
  ): Promise<void> {
    const { deployment, scaleIn, event } = build;
    const { replicas } = scaleIn;
    if (replicas === deployment.desired) return;
    const { namespace } = parseKey(this.key);
    const written = await unlessGone(
      client.writeScale(
        DEPLOYMENTS,
        { name: deployment.name, namespace },
        { replicas, fieldManager: FIELD_MANAGERS.replicas, signal },
      ),
    );
    if (written === undefined) return;
    this.#written.set(deployment.name, {
      replicas,
      resourceVersion: written.metadata?.resourceVersion ?? "",
    });
    this.#isScaleUntold = true;
    if (event !== undefined) this.#record(object, event.reason, event.note);
  }

  async #cordon(
    { builds, observation }: QueuePlan,
    { store }: Look,
    { assertCurrent }: ReconcileContext,
  ): Promise<void> {
    if (store === undefined) return;
    const nowMs = this.#dependencies.clock.steadyMs();
    for (const [workerId, untilMs] of this.#cordons) if (untilMs <= nowMs) this.#cordons.delete(workerId);
    const wanted = builds.flatMap(({ scaleIn }) => scaleIn.cordon);
    const due = wanted.filter((id) => (this.#cordons.get(id) ?? 0) - nowMs < CORDON_RENEW_MS);
    if (due.length > 0) {
      assertCurrent();
      await store.observer.cordon(due);
      for (const workerId of due) this.#cordons.set(workerId, nowMs + CORDON_MS);
    }
    // All cordons of the queue end together: as long as one is wanted, the others run out by themselves.
    if (wanted.length > 0 || this.#cordons.size === 0) return;
    if (!builds.some(({ scaleIn }) => scaleIn.liftCordons)) return;
    assertCurrent();
    await store.observer.liftCordons(observation.queueName);
    this.#cordons.clear();
  }

  async #writeCosts({ builds }: QueuePlan, { client, signal }: ReconcileContext): Promise<void> {
    const { namespace } = parseKey(this.key);
    const costs = builds.flatMap(({ scaleIn }) => scaleIn.costs);
    const write = async ({ name, cost }: (typeof costs)[number]): Promise<unknown> =>
      unlessGone(
        client.patch(
          PODS,
          { name, namespace },
          {
            kind: "merge",
            body: { metadata: { annotations: { [DELETION_COST_ANNOTATION]: String(cost) } } },
          },
          { fieldManager: FIELD_MANAGERS.replicas, signal },
        ),
      );
    for (let from = 0; from < costs.length; from += COST_WRITES_MAX) {
      await Promise.all(costs.slice(from, from + COST_WRITES_MAX).map(write));
    }
  }

  async #tell({ object, load, plan, context }: Pass): Promise<void> {
    const { clock } = this.#dependencies;
    const nowMs = clock.steadyMs();
    const wallMs = clock.wallTime().getTime();
    const sinceMs = this.#told === undefined ? Infinity : nowMs - this.#told.atMs;
    const told = sinceMs < STATUS_SEEN_MS ? this.#told?.status : storedStatus(object);
    const scaling = scalingStatus(plan, load, {
      previous: told?.scaling,
      wallMs,
      scaled: this.#isScaleUntold,
    });
    const claims = plan.decision.conditions.map((claim) =>
      claim.type === "ScalingActive" && load.kind === "Seen" ? { ...claim, message: storyOf(plan) } : claim,
    );
    const next: ToldStatus = {
      scaling,
      conditions: conditionsOf(claims, told?.conditions ?? object.status?.conditions, {
        generation: object.metadata?.generation,
        now: clock.wallTime().toISOString(),
      }),
    };
    if (!isStatusDue(told, next, sinceMs)) {
      this.#isPartUntold = told !== undefined && !hasSameFigures(told.scaling, next.scaling);
      return;
    }
    await applyStatus({
      client: context.client,
      type: TASK_QUEUES,
      object,
      status: { scaling: next.scaling, conditions: [...next.conditions] },
      ownedFields: ["scaling"],
      ownedConditions: SCALING_CONDITIONS,
      fieldManager: FIELD_MANAGERS.replicas,
      signal: context.signal,
    });
    this.#told = { status: next, atMs: nowMs };
    this.#isScaleUntold = false;
    this.#isPartUntold = false;
  }

  #tellOutage({ object, plan }: Pass): void {
    for (const { reason, note } of plan.decision.events) {
      if (reason === "ScalingHeld" || reason === "ScalingResumed") this.#record(object, reason, note);
    }
  }

  #record(regarding: TaskQueueObject, reason: string, note: string): void {
    const type = reason === "ScalingHeld" ? "Warning" : "Normal";
    this.#dependencies.events.record({ regarding, type, reason, action: "Scale", note });
  }

  #setGauges({ load, plan }: Pass): void {
    if (load.kind === "Unseen") return;
    this.#dependencies.scalingGauges.set(this.key, {
      backlog: backlogOf(load),
      oldestAgeSeconds: (oldestAgeMsOf(load) ?? 0) / 1_000,
      inFlight: inFlightOf(load),
      desiredReplicas: plan.builds.reduce((sum, { wanted }) => sum + wanted, 0),
      readyReplicas: plan.builds.reduce((sum, { deployment }) => sum + deployment.ready, 0),
    });
  }

  /** Finds out what may wake it from now on: a start alone while none waits, since only the first of many is news. */
  #settle({ load, plan }: Pass, touchCount: number): void {
    const atZero = plan.builds
      .filter(({ scaleIn }) => scaleIn.replicas === 0)
      .map(({ deployment }) => deployment.buildId);
    const seen = plan.observation.load;
    this.#sleeps =
      seen.kind === "Seen" &&
      seen.unassigned.ready + seen.unassigned.unserved === 0 &&
      plan.observation.builds.some(({ buildId, role }) => role !== "Draining" && atZero.includes(buildId));
    // What changed while this pass was under way, it may not have seen. And nobody would tell what this one left untold.
    this.#isResting =
      touchCount === this.#touchCount &&
      !this.#isPartUntold &&
      load.kind === "Seen" &&
      isIdle(load) &&
      plan.builds.length === atZero.length &&
      this.#cordons.size === 0;
  }
}

/** The key of the Store that a TaskQueue names; of no Store when it names none. */
export function storeKeyOf({ metadata, spec }: TaskQueueObject): string {
  const { storeRef } = (spec ?? {}) as { readonly storeRef?: { readonly name?: unknown } };
  const name = typeof storeRef?.name === "string" ? storeRef.name : "";
  return `${metadata?.namespace ?? ""}/${name}`;
}

function isIdle({ waiting, workers }: QueueLoad): boolean {
  return waiting.length === 0 && workers.length === 0;
}

/** Its workers are taken away with their Deployments, whatever they hold. */
function isForced({ metadata, spec }: TaskQueue): boolean {
  return metadata.deletionTimestamp !== undefined && spec.deletion.mode === "Force";
}

function storedStatus({ status }: TaskQueueObject): ToldStatus | undefined {
  if (status?.scaling === undefined) return undefined;
  return { scaling: status.scaling, conditions: status.conditions ?? [] };
}

/** A write to what is gone is no failure: its successor is another look's. */
async function unlessGone<Answer>(writing: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await writing;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}
