/**
 * The life of TaskQueues during one leadership: observe, plan, apply.
 *
 * Promises that a pass may end anywhere: what was written stands, and the next pass comes to the same end. Routing is written
 * to the database before the status says so. A Store that can't be reached changes nothing of what runs.
 */
import { isDeepStrictEqual } from "node:util";
import { PROMOTE_ANNOTATION, queueNameOf } from "@memflow/crds";
import type { TaskQueue, TaskQueueStatus } from "@memflow/crds";
import { conditionsOf, readTaskQueue } from "../api/index.ts";
import type { ConnectedStore, TaskQueueObject } from "../api/index.ts";
import { POD_DISRUPTION_BUDGETS, SERVICE_ACCOUNTS } from "../kube/index.ts";
import type { Deployment, Processed, ReconcileContext } from "../kube/index.ts";
import { BuildMaker } from "./build-maker.ts";
import type { MadeBuild } from "./build-maker.ts";
import {
  disruptionBudgetNameOf,
  gateWorkflowId,
  serviceAccountNameOf,
  targetBuildOf,
} from "./build-names.ts";
import type { TargetBuild } from "./build-names.ts";
import { admitTarget } from "./core/admit-target.ts";
import type { StorePart } from "./core/pod-template.ts";
import { planRollout, versionsOf } from "./core/plan-rollout.ts";
import { findPodFault } from "./core/pod-faults.ts";
import { CLAIMED_CONDITIONS } from "./core/queue-claims.ts";
import type {
  GateEnd,
  GateRun,
  RolloutFacts,
  RolloutPlan,
  Route,
  VersionEvent,
} from "./core/rollout-facts.ts";
import { disruptionBudgetOf, serviceAccountOf } from "./core/worker-objects.ts";
import { isHeld, setFinalizer, wantsDrain } from "./drain-finalizer.ts";
import { CodeFinder, findMissingReference } from "./find-code.ts";
import { findStore } from "./find-store.ts";
import type { FoundStore } from "./find-store.ts";
import { ObjectKeeper } from "./object-keeper.ts";
import { decide, isTerminating, lookAtWork, release } from "./queue-deletion.ts";
import { gatherObjects } from "./queue-objects.ts";
import type { BuildObjects, QueueObjects } from "./queue-objects.ts";
import { buildFactsOf, statusOf, writeStatus } from "./queue-pass.ts";
import type { Pass, Verdict } from "./queue-pass.ts";
import type { QueuesDependencies } from "./queues-controller.ts";
import { StoreBuilds } from "./store-builds.ts";
import type { BuildsLook, Pinning } from "./store-builds.ts";

/** A database that does not answer is asked again after so long, and something that is missing in the cluster. */
const RETRY_MS = 10_000;

type ReadyStore = Extract<FoundStore, { kind: "Found" }>;

/** How the build of the spec fares before the rollout is planned. */
interface Target {
  /** Undefined while nobody can tell which it is. */
  readonly build: TargetBuild | undefined;
  readonly objects: QueueObjects;
  readonly code: Verdict["code"];
  readonly progress: Verdict["progress"];
  readonly events: readonly VersionEvent[];
}

/** One leadership. */
export class QueueTerm {
  readonly fencingToken: number;
  readonly #dependencies: QueuesDependencies;
  readonly #keeper: ObjectKeeper;
  readonly #maker: BuildMaker;
  readonly #codeFinder: CodeFinder;
  readonly #builds = new WeakMap<ConnectedStore, StoreBuilds>();
  /** What was written, by key: reflectors are behind our own writes. */
  readonly #told = new Map<string, { readonly uid: string | undefined; readonly status: TaskQueueStatus }>();

  constructor(dependencies: QueuesDependencies, fencingToken: number) {
    this.fencingToken = fencingToken;
    this.#dependencies = dependencies;
    this.#keeper = new ObjectKeeper(dependencies);
    this.#maker = new BuildMaker(dependencies, this.#keeper);
    this.#codeFinder = new CodeFinder(dependencies);
  }

  /** Brings one TaskQueue a step further. */
  async reconcile(key: string, context: ReconcileContext): Promise<Processed | undefined> {
    const { followed, clock } = this.#dependencies;
    const object = followed.taskQueues.store.get(key);
    if (object === undefined) {
      this.#told.delete(key);
      return undefined;
    }
    const isDeleted = object.metadata?.deletionTimestamp !== undefined;
    if (isDeleted && !isHeld(object)) return undefined;
    const read = readTaskQueue(object);
    const { uid } = object.metadata ?? {};
    const told = this.#told.get(key);
    const previous = told?.uid === uid ? told?.status : object.status;
    const nowMs = clock.wallTime().getTime();
    if (read.kind === "Faulty") {
      // Of what can't be read nobody knows how it wants to be drained.
      if (isDeleted) await setFinalizer(object, false, context);
      else await this.#tellFault({ object, context, previous, nowMs }, read.message);
      return undefined;
    }
    const objects = gatherObjects(followed, key, uid);
    const pass = { key, object, taskQueue: read.resource, context, nowMs, previous, objects };
    return isDeleted ? this.#passDeletion(pass) : this.#pass(pass);
  }

  async #pass(pass: Pass): Promise<Processed | undefined> {
    if (await this.#losesItsNamespace(pass)) {
      await setFinalizer(pass.object, false, pass.context);
      return undefined;
    }
    const store = findStore(this.#dependencies, pass.taskQueue);
    if (store.kind === "Missing") return this.#hold(pass, store.hindrance);
    const queueName = queueNameOf(pass.taskQueue);
    const builds = this.#buildsOf(store.connected);
    let look: BuildsLook;
    try {
      look = await builds.look(queueName, pass.objects.size > 1);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      await this.#hold(pass, { reason: "StoreNotReady", message });
      return { requeueAfterMs: RETRY_MS };
    }
    return this.#rollOut(pass, store, look);
  }

  /**
   * A namespace that is deleted loses its pods first; the rest follows in any order, among it our right to take a finalizer
   * off. So that is done when pods go.
   */
  async #losesItsNamespace({ object, objects, context }: Pass): Promise<boolean> {
    const pods = [...objects.values()].flatMap((build) => build.pods);
    const isLosingPods = pods.some(({ metadata }) => metadata?.deletionTimestamp !== undefined);
    return isLosingPods && isTerminating(object.metadata?.namespace ?? "", context);
  }

  async #mustHold(
    { object, taskQueue, context }: Pass,
    deployments: readonly Deployment[],
  ): Promise<boolean> {
    if (!wantsDrain(taskQueue, deployments)) return false;
    return isHeld(object) || !(await isTerminating(object.metadata?.namespace ?? "", context));
  }

  /** Everything stays as it is. */
  async #hold(pass: Pass, store: NonNullable<Verdict["store"]>): Promise<undefined> {
    const { objects, previous, nowMs } = pass;
    const versions = versionsOf({ ...this.#factsOf(pass, NO_LOOK, undefined), routes: [], nowMs });
    await this.#tell(pass, {
      ...UNKNOWN,
      store,
      objects,
      versions,
      targetBuildId: previous?.targetBuildId,
      lastPromotion: previous?.lastPromotion,
    });
    return undefined;
  }

  async #rollOut(pass: Pass, store: ReadyStore, look: BuildsLook): Promise<Processed> {
    const { taskQueue, context, previous } = pass;
    await this.#keepCommon(taskQueue, context);
    const target = await this.#makeTarget(pass, store.part, look);
    const made: Pass = { ...pass, objects: target.objects };
    const facts = this.#factsOf(made, look, target.build);
    const gate = await this.#lookAtGate(made, store, facts);
    const plan = planRollout({ ...facts, gate });
    const events = [...target.events, ...plan.events];
    for (const end of plan.endedGates) await this.#endGates(made, store, end);
    if (plan.startGate) events.push(await this.#startGate(made, store, facts.targetBuildId));
    await this.#route(made, store, plan, look);
    const left = await this.#remove(made, plan.removed);
    // Not before: of a build that has just been removed, reflectors may still show the one or the other.
    for (const objects of left.values()) {
      if (objects.buildId === target.build?.buildId) continue;
      await this.#maker.keepOld({ taskQueue, objects, store: store.part }, context);
    }
    const deployments = [...left.values()].flatMap(({ deployment }) => deployment ?? []);
    await setFinalizer(pass.object, await this.#mustHold(pass, deployments), context);
    const promote = taskQueue.metadata.annotations?.[PROMOTE_ANNOTATION];
    const isPromoted = plan.events.some(({ reason }) => reason === "VersionPromoted");
    await this.#tell(made, {
      ...UNKNOWN,
      code: target.code,
      progress: target.progress ?? inPlaceProgress(made, plan),
      objects: left,
      versions: plan.versions,
      targetBuildId: target.build?.buildId ?? previous?.targetBuildId,
      openRuns: look.openRuns,
      lastPromotion: isPromoted && promote === facts.targetBuildId ? promote : previous?.lastPromotion,
      events,
    });
    const isWaiting = target.code !== undefined || target.progress !== undefined;
    return {
      requeueAfterMs: isWaiting ? Math.min(RETRY_MS, plan.lookAgainMs ?? RETRY_MS) : plan.lookAgainMs,
    };
  }

  /** What all builds of a queue share. */
  async #keepCommon(taskQueue: TaskQueue, context: ReconcileContext): Promise<void> {
    const { name, namespace } = taskQueue.metadata;
    const account = serviceAccountOf(taskQueue, serviceAccountNameOf(name));
    await this.#keeper.keepUnfollowed({ type: SERVICE_ACCOUNTS, object: account }, context);
    const budgetName = disruptionBudgetNameOf(name);
    if (taskQueue.spec.workers.pdb.enabled) {
      const budget = disruptionBudgetOf(taskQueue, budgetName);
      await this.#keeper.keepUnfollowed({ type: POD_DISRUPTION_BUDGETS, object: budget }, context);
    } else {
      await this.#keeper.dropUnfollowed(POD_DISRUPTION_BUDGETS, { namespace, name: budgetName }, context);
    }
  }

  /** Makes the build of the spec, unless something stands against it. */
  async #makeTarget(pass: Pass, store: StorePart, look: BuildsLook): Promise<Target> {
    const { taskQueue, key, context, objects } = pass;
    const nothing = { build: undefined, objects, code: undefined, progress: undefined, events: [] };
    const source = await this.#codeFinder.find(taskQueue, key, context);
    if (source.kind === "Missing") return { ...nothing, code: source.hindrance };
    const build = targetBuildOf(taskQueue, source.code);
    const admission = admitTarget(versionsOf(this.#factsOf(pass, look, build)), {
      targetBuildId: build.buildId,
      maxVersions: taskQueue.spec.versioning.draining.maxVersions,
    });
    if (admission.kind === "TooManyBuilds") {
      const { kind: reason, message } = admission;
      return { ...nothing, build, progress: { reason, message }, events: [blocked(message)] };
    }
    const present = objects.get(build.buildId);
    const isKept = present?.revisions.some(({ metadata }) => metadata?.name === build.revisionName) ?? false;
    const missing = isKept ? undefined : await findMissingReference(taskQueue, context);
    if (missing !== undefined) return { ...nothing, build, code: missing };
    const left = await this.#remove(pass, admission.evicted);
    const revision = 1 + Math.max(0, ...[...objects.values()].map(newestRevision));
    const parts = { target: build, code: source.code, objects: present, store, revision };
    const made = await this.#maker.makeTarget(parts, context);
    return targetOf({ build, made, present, left, pass });
  }

  async #remove({ objects, context }: Pass, buildIds: readonly string[]): Promise<QueueObjects> {
    const left = new Map(objects);
    for (const buildId of buildIds) {
      const build = left.get(buildId);
      if (build !== undefined) await this.#maker.remove(build, context);
      left.delete(buildId);
    }
    return left;
  }

  #factsOf(pass: Pass, look: BuildsLook, build: TargetBuild | undefined): RolloutFacts {
    const { taskQueue, previous, nowMs } = pass;
    const present = new Set(pass.objects.keys());
    return {
      nowMs,
      targetBuildId: build?.buildId ?? previous?.targetBuildId ?? previous?.currentBuildId ?? "",
      versioning: taskQueue.spec.versioning,
      builds: buildFactsOf(pass, look.openRuns),
      // A build of which nothing is left in the cluster gets no runs.
      routes: look.routes.filter(({ buildId }) => present.has(buildId)),
      gate: { state: "NotStarted" },
      promote: taskQueue.metadata.annotations?.[PROMOTE_ANNOTATION],
    };
  }

  /** Asks only when the answer matters. */
  async #lookAtGate(pass: Pass, store: ReadyStore, facts: RolloutFacts): Promise<GateRun> {
    const { gate } = facts.versioning.rollout;
    const target = versionsOf(facts).find(({ buildId }) => buildId === facts.targetBuildId);
    if (gate === undefined || target?.phase !== "Pending") return facts.gate;
    const workflowId = gateWorkflowId(pass.taskQueue, facts.targetBuildId, gate);
    return this.#buildsOf(store.connected).lookAtGate(workflowId, pass.nowMs);
  }

  async #startGate(pass: Pass, store: ReadyStore, buildId: string): Promise<VersionEvent> {
    const { taskQueue, context } = pass;
    const gate = taskQueue.spec.versioning.rollout.gate ?? { workflow: "", timeout: "0s" };
    const workflowId = gateWorkflowId(taskQueue, buildId, gate);
    context.assertCurrent();
    await this.#buildsOf(store.connected).startGate({
      workflowId,
      workflowName: gate.workflow,
      queueName: queueNameOf(taskQueue),
      buildId,
      input: gate.input,
    });
    this.#dependencies.crashPoint("queues.gate-started");
    const note = `run "${workflowId}" of "${gate.workflow}" judges build "${buildId}"`;
    return { type: "Normal", reason: "GateStarted", note };
  }

  async #endGates({ taskQueue, context }: Pass, store: ReadyStore, end: GateEnd): Promise<void> {
    context.assertCurrent();
    await this.#buildsOf(store.connected).endGates(queueNameOf(taskQueue), end);
    this.#dependencies.crashPoint("queues.gates-ended");
  }

  async #route(pass: Pass, store: ReadyStore, plan: RolloutPlan, look: BuildsLook): Promise<void> {
    const { routes } = plan;
    const pinning: Pinning = pass.taskQueue.spec.versioning.strategy === "Pinned" ? "Pinned" : "AutoUpgrade";
    if (routes === undefined) return;
    const wanted = routes.toSorted((left, right) => (left.buildId < right.buildId ? -1 : 1));
    const actual = look.routes.toSorted((left, right) => (left.buildId < right.buildId ? -1 : 1));
    const isWritten = look.pinning === pinning && isDeepStrictEqual(wanted, actual);
    if (isWritten && !(pinning === "AutoUpgrade" && hasLeftBehind(routes, look))) return;
    pass.context.assertCurrent();
    const queueName = queueNameOf(pass.taskQueue);
    await this.#buildsOf(store.connected).writeRoutes(queueName, { routes, pinning });
    this.#dependencies.crashPoint("queues.routed");
  }

  async #passDeletion(pass: Pass): Promise<Processed | undefined> {
    const { objects, previous } = pass;
    const work = await lookAtWork(this.#dependencies, pass, (store) => this.#buildsOf(store));
    const step = await decide(pass, work);
    if (step.kind === "Release") {
      await release(this.#dependencies, pass, step);
      return undefined;
    }
    const { reason, message, lookAgainMs } = step;
    await this.#tell(pass, {
      ...UNKNOWN,
      deletion: { reason, message },
      objects,
      versions: versionsOf({ ...this.#factsOf(pass, NO_LOOK, undefined), routes: [] }),
      targetBuildId: previous?.targetBuildId,
      lastPromotion: previous?.lastPromotion,
    });
    return { requeueAfterMs: lookAgainMs };
  }

  async #tell(pass: Pass, verdict: Verdict): Promise<void> {
    const status = statusOf(pass, verdict);
    await writeStatus(this.#dependencies, pass, { status, told: verdict.events });
    this.#told.set(pass.key, { uid: pass.object.metadata?.uid, status });
  }

  /** Only the conditions change: of the rest nobody can say anything. */
  async #tellFault(
    pass: Pick<Pass, "context" | "previous" | "nowMs"> & { readonly object: TaskQueueObject },
    message: string,
  ): Promise<void> {
    const { object, previous, nowMs } = pass;
    const claims = [
      { type: "Ready", status: "False", reason: "RolloutInProgress", message },
      { type: "Progressing", status: "False", reason: "InvalidTemplate", message },
    ] as const;
    const { generation } = object.metadata ?? {};
    const told = conditionsOf(claims, previous?.conditions, {
      generation,
      now: new Date(nowMs).toISOString(),
    });
    const others = (previous?.conditions ?? []).filter(
      ({ type }) =>
        CLAIMED_CONDITIONS.some((claimed) => claimed === type) && !told.some((one) => one.type === type),
    );
    const { scaling: _, ...rest } = previous ?? {};
    await writeStatus(this.#dependencies, pass, {
      status: { ...rest, conditions: [...told, ...others] },
      told: [blocked(message)],
    });
  }

  #buildsOf(store: ConnectedStore): StoreBuilds {
    const known = this.#builds.get(store) ?? new StoreBuilds(store, this.fencingToken);
    this.#builds.set(store, known);
    return known;
  }
}

const NO_LOOK: BuildsLook = { routes: [], pinning: undefined, openRuns: undefined };
const UNKNOWN = {
  store: undefined,
  code: undefined,
  progress: undefined,
  deletion: undefined,
  openRuns: undefined,
  events: [],
} as const satisfies Partial<Verdict>;

/** What making a build led to. */
function targetOf({
  build,
  made,
  present,
  left,
  pass,
}: {
  readonly build: TargetBuild;
  readonly made: MadeBuild;
  readonly present: BuildObjects | undefined;
  readonly left: QueueObjects;
  readonly pass: Pass;
}): Target {
  const { buildId } = build;
  if (made.kind === "Refused") {
    const { code, progress } = made;
    return { build, objects: left, code, progress, events: progress ? [blocked(progress.message)] : [] };
  }
  const whole = { pods: [], revisions: [], ...present, buildId, deployment: made.deployment };
  const isKnown = pass.previous?.versions?.some((version) => version.buildId === buildId) ?? false;
  const note = `build "${buildId}" has Deployment "${build.deploymentName}"`;
  return {
    build,
    objects: new Map([...left, [buildId, whole]]),
    code: codeFault(whole),
    progress: undefined,
    events: made.isNew && !isKnown ? [{ type: "Normal", reason: "VersionCreated", note }] : [],
  };
}

/** A pod that waits for a Secret or ConfigMap that went away after the build was made. */
function codeFault({ pods }: BuildObjects): Verdict["code"] {
  const fault = findPodFault(pods);
  return fault?.reason === "ConfigMissing" ? { reason: "SecretNotFound", message: fault.message } : undefined;
}

/** A Deployment that is rolled in place is no new build, and yet under way. */
function inPlaceProgress(
  { taskQueue, objects }: Pass,
  { progress, versions }: RolloutPlan,
): Verdict["progress"] {
  const current = versions.find(({ phase }) => phase === "Current");
  if (taskQueue.spec.versioning.strategy !== "InPlace" || progress?.reason !== "RolloutComplete") {
    return progress;
  }
  const { metadata, spec, status } = objects.get(current?.buildId ?? "")?.deployment ?? {};
  const desired = spec?.replicas ?? 0;
  // What is counted may be of the template before.
  const isCounted = (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0);
  const updated = isCounted ? (status?.updatedReplicas ?? 0) : 0;
  // A worker of the template before stays until one of the new template is ready in its place.
  const left = isCounted ? (status?.replicas ?? 0) - updated : 0;
  if (updated >= desired && left <= 0) return progress;
  const stay = left > 0 ? `, ${left} still run the one before` : "";
  const message = `${updated} of ${desired} workers run the newest template${stay}`;
  return { reason: "NewBuildStarting", message };
}

/** Whoever wrote the routes ended before it had let go of the runs that are pinned to old builds. */
function hasLeftBehind(routes: readonly Route[], { openRuns }: BuildsLook): boolean {
  return routes.some(
    ({ buildId, role }) => role === "Draining" && (openRuns?.get(buildId)?.openRuns ?? 0) > 0,
  );
}

function newestRevision({ revisions }: BuildObjects): number {
  return revisions[0]?.revision ?? 0;
}

function blocked(note: string): VersionEvent {
  return { type: "Warning", reason: "RolloutBlocked", note };
}
