/**
 * Schedules: each becomes a row in the Store of its Workflow, and what the row did becomes its status and its Events.
 *
 * Rows go with their resources by being compared with them, at the begin of each leadership and after each deletion: a Schedule
 * needs no finalizer, and nothing that is deleted waits for a database. Firing is the engine's; the operator takes part in it,
 * so that a queue without workers gets its runs.
 */
import { SCHEDULE_CONDITIONS } from "@memflow/crds";
import type { Schedule } from "@memflow/crds";
import { LeaderFollowedError } from "@memflow/engine/provision";
import type { ScheduleRecord } from "@memflow/engine/provision";
import { applyStatus, conditionsOf, FIELD_MANAGERS, INDEX, readSchedule, SCHEDULES } from "../api/index.ts";
import type { OperatorDependencies, ScheduleObject } from "../api/index.ts";
import {
  compareResourceVersions,
  errorFields,
  identityOf,
  keyOf,
  nameOf,
  parseKey,
  sourceOf,
} from "../kube/index.ts";
import type { Controller, KubeObject, ObjectChange, Processed, ReconcileContext } from "../kube/index.ts";
import { definitionOf } from "./schedule-definition.ts";
import { claimsOf, STATUS_FIELDS, statusOf, storiesOf } from "./schedule-status.ts";
import type { ScheduleClaim } from "./schedule-status.ts";
import { findTarget } from "./schedule-target.ts";
import type { MissingTarget } from "./schedule-target.ts";
import { StoreSchedules } from "./store-schedules.ts";

/** What the controller uses of all there is. */
export type SchedulesDependencies = Pick<
  OperatorDependencies,
  "stores" | "events" | "clock" | "log" | "resyncMs" | "crashPoint"
> & {
  readonly followed: Pick<
    OperatorDependencies["followed"],
    "schedules" | "workflows" | "taskQueues" | "stores"
  >;
};

/** Before the key of a Store whose rows are to be compared with what is there; no key of an object has a space. */
const STORE_KEY = "store ";
/** Times in the status. */
const NEXT_TIMES = 5;
/** A Store that does not answer is asked again after so long. */
const AWAY_MS = 10_000;

/** Makes the controller; it works while the runtime has connected its sources. */
export function makeSchedulesController(dependencies: SchedulesDependencies): Controller {
  const schedules = new Schedules(dependencies);
  const { followed } = dependencies;
  return {
    name: "schedules",
    reconcile: (key, context) => schedules.reconcile(key, context),
    sources: [
      { reflector: followed.schedules, connect: (add) => schedules.connect(add) },
      // Heard by the first one; named so that the runtime follows them.
      sourceOf(followed.workflows, () => []),
      sourceOf(followed.taskQueues, () => []),
      sourceOf(followed.stores, () => []),
    ],
  };
}

/** What there is while this process leads. */
class Schedules {
  readonly #dependencies: SchedulesDependencies;
  readonly #stores = new Map<string, StoreSchedules>();
  readonly #written = new Map<string, Written>();
  #add: (key: string) => void = () => {};

  constructor(dependencies: SchedulesDependencies) {
    this.#dependencies = dependencies;
  }

  connect(add: (key: string) => void): () => void {
    const { followed, stores } = this.#dependencies;
    this.#add = add;
    const ends = [
      followed.schedules.onChange((change) => this.#onSchedule(change)),
      followed.workflows.onChange((change) => hasNews(change) && this.#touchWorkflow(change.key)),
      followed.taskQueues.onChange((change) => hasNews(change) && this.#touchTaskQueue(change.key)),
      followed.stores.onChange((change) => hasNews(change) && this.#touchStore(change.key)),
      stores.onChange((storeKey) => this.#touchStore(storeKey)),
    ];
    return () => {
      for (const end of ends) end();
      for (const storeKey of this.#stores.keys()) this.#close(storeKey);
      this.#written.clear();
    };
  }

  async reconcile(key: string, context: ReconcileContext): Promise<Processed | undefined> {
    if (key.startsWith(STORE_KEY)) return await this.#forgetGone(key.slice(STORE_KEY.length), context);
    const object = this.#find(key);
    if (object === undefined || object.metadata?.deletionTimestamp !== undefined) return undefined;
    const read = readSchedule(object);
    if (read.kind === "Faulty") {
      await this.#write({ key, object, context, record: undefined, claims: [faultClaim(read.message)] });
      return undefined;
    }
    return await this.#follow({ key, object, context, schedule: read.resource });
  }

  /** As the server has it: with our own last status, while the watch has not brought it back. */
  #find(key: string): ScheduleObject | undefined {
    const object = this.#dependencies.followed.schedules.store.get(key);
    const written = this.#written.get(key);
    if (written === undefined) return object;
    const { uid, resourceVersion = "" } = object?.metadata ?? {};
    const isOlder = (compareResourceVersions(resourceVersion, written.version) ?? 0) < 0;
    if (isOlder && uid === written.uid) return { ...object, status: written.status };
    this.#written.delete(key);
    return object;
  }

  /** Brings the row to what the Schedule says, and the status to what the row says. */
  async #follow(work: Work & { readonly schedule: Schedule }): Promise<Processed | undefined> {
    const { key, object, context, schedule } = work;
    const { crashPoint, followed, resyncMs } = this.#dependencies;
    const target = findTarget(schedule, followed);
    if (target.kind === "Missing") return await this.#hold(work, target);
    const store = this.#open(target.storeKey);
    if (store === undefined) {
      const message = `Store "${parseKey(target.storeKey).name}" is not connected: its conditions say why`;
      return await this.#tellAway({ ...work, message });
    }
    const entry = {
      scheduleId: key,
      definition: definitionOf(schedule, target),
      origin: object.metadata?.uid ?? "",
      orphaned: schedule.spec.deletionPolicy === "Orphan",
    };
    context.assertCurrent();
    let record: ScheduleRecord | undefined;
    try {
      record = await store.put(entry, context.fencingToken);
    } catch (error) {
      if (error instanceof LeaderFollowedError) throw error;
      this.#dependencies.log("warn", "a schedule can't be written", { schedule: key, ...errorFields(error) });
      return await this.#tellAway({ ...work, message: messageOf(error) });
    }
    crashPoint("schedules.put");
    if (record === undefined) return { requeueAfterMs: AWAY_MS };
    await this.#tell({ ...work, store, record });
    return { requeueAfterMs: resyncMs };
  }

  /** Without its Workflow no time fires: the row, where there is one, is paused until it is back. */
  async #hold(
    work: Work & { readonly schedule: Schedule },
    { reason, message }: MissingTarget,
  ): Promise<Processed | undefined> {
    const { key, object, context, schedule } = work;
    const claims: ScheduleClaim[] = [{ type: "Ready", status: "False", reason, message }];
    const store = [...this.#stores.values()].find(
      (candidate) => candidate.recordOf(key)?.origin === object.metadata?.uid,
    );
    const record = store?.recordOf(key);
    if (store === undefined || record === undefined) {
      await this.#write({ ...work, record: undefined, claims });
      return { requeueAfterMs: this.#dependencies.resyncMs };
    }
    const { scheduleId, origin, orphaned } = record;
    context.assertCurrent();
    const definition = { ...record.definition, paused: true };
    const held = await store.put({ scheduleId, definition, origin, orphaned }, context.fencingToken);
    const backfillNames = schedule.spec.backfills.map(({ name }) => name);
    const status = statusOf(held ?? record, { nextTimes: [], backfillNames });
    await this.#write({ ...work, record: undefined, status, claims });
    return { requeueAfterMs: this.#dependencies.resyncMs };
  }

  /** What the row says. */
  async #tell({
    store,
    record,
    ...work
  }: Work & {
    readonly schedule: Schedule;
    readonly store: StoreSchedules;
    readonly record: ScheduleRecord;
  }): Promise<void> {
    const { spec } = work.schedule;
    const isReadable = record.fault === null;
    const status = statusOf(record, {
      nextTimes: isReadable ? store.keeper.nextTimes(record, NEXT_TIMES) : [],
      backfillNames: spec.backfills.map(({ name }) => name),
    });
    const hasFinished = isReadable && store.keeper.hasFinished(record);
    const claims = claimsOf(record, { hasFinished, pausedBySpec: spec.paused });
    await this.#write({ ...work, record, status, claims });
  }

  async #tellAway(work: Work & { readonly message: string }): Promise<Processed> {
    const { message } = work;
    const claims: ScheduleClaim[] = [{ type: "Ready", status: "False", reason: "StoreNotReady", message }];
    await this.#write({ ...work, record: undefined, claims });
    return { requeueAfterMs: AWAY_MS };
  }

  /** Without a new status the figures of the last one stay, and so do conditions that nothing is claimed of. */
  async #write({ key, object, context, record, status, claims }: StatusWork): Promise<void> {
    const { clock, events } = this.#dependencies;
    const before = object.status;
    const { generation } = object.metadata ?? {};
    const kept = (before?.conditions ?? []).filter(
      ({ type }) => !claims.some((claim) => claim.type === type),
    );
    const now = clock.wallTime().toISOString();
    const after = {
      ...(status ?? figuresOf(before)),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      conditions: [...conditionsOf(claims, before?.conditions, { generation, now }), ...kept],
    };
    const written = await applyStatus({
      client: context.client,
      type: SCHEDULES,
      object,
      status: after,
      ownedFields: STATUS_FIELDS,
      ownedConditions: Object.keys(SCHEDULE_CONDITIONS),
      fieldManager: FIELD_MANAGERS.schedules,
      signal: context.signal,
    });
    if (written === undefined) return;
    const { uid, resourceVersion } = identityOf(written);
    this.#written.set(key, { uid, version: resourceVersion, status: after });
    if (record === undefined) return;
    for (const story of storiesOf(before, after, { claims, record }))
      events.record({ regarding: object, action: "Schedule", ...story });
  }

  /** Removes the rows whose Schedules are gone or are another Store's now. */
  async #forgetGone(storeKey: string, context: ReconcileContext): Promise<Processed | undefined> {
    const { followed, log, crashPoint } = this.#dependencies;
    const store = this.#open(storeKey);
    if (store === undefined) return undefined;
    const { namespace } = parseKey(storeKey);
    const staying = followed.schedules.store.list().filter((object) => {
      if (object.metadata?.namespace !== namespace) return false;
      const read = readSchedule(object);
      if (read.kind === "Faulty") return true;
      const target = findTarget(read.resource, followed);
      return target.kind === "Missing" || target.storeKey === storeKey;
    });
    context.assertCurrent();
    const gone = await store.forget(
      staying.map(({ metadata }) => metadata?.uid ?? ""),
      context.fencingToken,
    );
    crashPoint("schedules.forgotten");
    if (gone.length > 0)
      log("info", "removed schedules whose resources are gone", { store: storeKey, schedules: gone });
    return undefined;
  }

  #onSchedule(change: ObjectChange<ScheduleObject>): void {
    if (!hasNews(change)) return;
    this.#add(change.key);
    if (change.type === "added") return;
    // Its row may be without it now, in a Store of its namespace.
    const { namespace } = parseKey(change.key);
    for (const storeKey of this.#stores.keys())
      if (parseKey(storeKey).namespace === namespace) this.#add(STORE_KEY + storeKey);
  }

  #touchWorkflow(workflowKey: string): void {
    const { schedules } = this.#dependencies.followed;
    for (const found of schedules.store.find(INDEX.workflow, workflowKey)) this.#add(keyOf(nameOf(found)));
  }

  #touchTaskQueue(queueKey: string): void {
    const { workflows } = this.#dependencies.followed;
    for (const found of workflows.store.find(INDEX.taskQueue, queueKey))
      this.#touchWorkflow(keyOf(nameOf(found)));
  }

  #touchStore(storeKey: string): void {
    const { taskQueues } = this.#dependencies.followed;
    this.#open(storeKey);
    this.#add(STORE_KEY + storeKey);
    for (const found of taskQueues.store.find(INDEX.store, storeKey))
      this.#touchTaskQueue(keyOf(nameOf(found)));
  }

  /** What is known of a Store, as it is connected now; undefined while it is not. */
  #open(storeKey: string): StoreSchedules | undefined {
    const { stores, clock, log } = this.#dependencies;
    const store = stores.find(storeKey);
    const known = this.#stores.get(storeKey);
    if (known !== undefined && known.store === store) return known;
    this.#close(storeKey);
    if (store === undefined) return undefined;
    const onChange = (scheduleId: string): void => this.#add(scheduleId);
    const opened = new StoreSchedules({ store, clock, log, onChange });
    this.#stores.set(storeKey, opened);
    return opened;
  }

  #close(storeKey: string): void {
    const known = this.#stores.get(storeKey);
    this.#stores.delete(storeKey);
    known?.close().catch((error: unknown) => {
      this.#dependencies.log("warn", "the schedules of a Store did not end well", {
        store: storeKey,
        ...errorFields(error),
      });
    });
  }
}

/** One reconcile of one Schedule. */
interface Work {
  readonly key: string;
  readonly object: ScheduleObject;
  readonly context: ReconcileContext;
}

/** A status of ours. */
interface Written {
  readonly uid: string;
  /** Of the object that has it: until the watch brings this one or a later one, what it shows is older. */
  readonly version: string;
  readonly status: NonNullable<ScheduleObject["status"]>;
}

interface StatusWork extends Work {
  readonly record: ScheduleRecord | undefined;
  readonly status?: ReturnType<typeof statusOf>;
  readonly claims: readonly ScheduleClaim[];
}

function faultClaim(message: string): ScheduleClaim {
  const type = "Ready";
  const status = "False";
  if (message.includes("spec.when.timeZone")) return { type, status, reason: "UnknownTimeZone", message };
  if (message.includes("spec.args")) return { type, status, reason: "ArgsTooLarge", message };
  return { type, status, reason: "NotValid", message };
}

/** Its own statuses are no news. */
function hasNews<T extends KubeObject>(change: ObjectChange<T>): boolean {
  if (change.type !== "updated") return true;
  const newsOf = ({ metadata }: T): string =>
    JSON.stringify([metadata?.uid, metadata?.generation, metadata?.annotations, metadata?.deletionTimestamp]);
  return newsOf(change.object) !== newsOf(change.previous);
}

function figuresOf(
  status: ScheduleObject["status"],
): Omit<NonNullable<ScheduleObject["status"]>, "conditions"> {
  const { conditions, ...figures } = status ?? {};
  void conditions;
  return figures;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
