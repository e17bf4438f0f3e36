/**
 * The controller of Stores: looks at the database, plans, does one step after another, and says how it stands.
 *
 * Promises: an outage is in the status within 15 s, its end too; the status is written when it says something new; others
 * reach a Store only by credentials that were tried, and go on reaching it by those while newer ones are refused. A Store has
 * a finalizer only while its schema is to be dropped with it.
 */
import { randomInt } from "node:crypto";
import { newestVersion } from "@memflow/engine/provision";
import type { StoreStatus } from "@memflow/crds";
import {
  applyStatus,
  conditionsOf,
  FIELD_MANAGERS,
  findCondition,
  INDEX,
  readStore,
  readTaskQueue,
  STORES,
} from "../api/index.ts";
import type { OperatorDependencies, StoreObject } from "../api/index.ts";
import { errorFields, hasSpecNews, parseKey, sourceOf } from "../kube/index.ts";
import type { Controller, KubeObject, Processed, ReconcileContext, Source } from "../kube/index.ts";
import { claimDeleting, planStore } from "./core/plan-store.ts";
import type { StorePlan, StoreStep } from "./core/plan-store.ts";
import type { StoreObservation } from "./core/store-observation.ts";
import { versionText } from "./core/version-text.ts";
import { endStore } from "./delete-store.ts";
import type { StoreConnections } from "./store-connections.ts";
import { StoreEvents } from "./store-events.ts";
import { StoreLife } from "./store-life.ts";
import type { StoredStore, StoreLook } from "./store-life.ts";
import { STATUS_FIELDS, storeStatus } from "./store-status.ts";

/** What this controller needs of the process. */
export type StoreDependencies = Pick<
  OperatorDependencies,
  "followed" | "events" | "log" | "clock" | "resyncMs" | "crashPoint"
> & { readonly stores: StoreConnections };

/** Holds a Store until its schema was dropped. */
const DROP_SCHEMA_FINALIZER = "memflow.io/drop-schema";

/** Not the manager of the status: what that applies says nothing of finalizers. */
const FINALIZER_MANAGER = `${FIELD_MANAGERS.stores}-finalizers`;

/** With the time limits of a look this stays below the 15 s in which an outage must be known. */
const CHECK_MS = 5_000;
const CHECK_JITTER_MS = 500;
/** More steps than any Store needs from nothing to ready. */
const STEPS_MAX = 24;

const OWNED_CONDITIONS = [
  "Ready",
  "Connected",
  "SchemaReady",
  "CredentialsValid",
  "Migrating",
  "PoolExhausted",
] as const;

/** Makes the controller; its connections end with `stores.close()`, after the controllers have ended. */
export function makeStoresController(dependencies: StoreDependencies): Controller {
  const stores = new StoresReconciler(dependencies);
  dependencies.stores.onClose(() => stores.close());
  const { followed } = dependencies;
  return {
    name: "stores",
    reconcile: (key, context) => stores.reconcile(key, context),
    sources: [
      sourceOf(followed.stores),
      // How many there are and how large they may become; a thousand of them write statuses all the time.
      sourceOf(followed.taskQueues, storeKeysOf, hasSpecNews),
      ...(followed.secrets === undefined
        ? []
        : [sourceOf(followed.secrets, (_secret, key) => stores.readersOf(key))]),
      stores.wakes(sourceOf(followed.stores).reflector),
    ],
  };
}

class StoresReconciler {
  readonly #dependencies: StoreDependencies;
  readonly #lives = new Map<string, { readonly life: StoreLife; object: StoreObject }>();
  readonly #adders = new Set<(key: string) => void>();

  constructor(dependencies: StoreDependencies) {
    this.#dependencies = dependencies;
  }

  /** Stores that read this Secret when they were looked at last. */
  readersOf(secretKey: string): readonly string[] {
    return [...this.#lives].flatMap(([key, { life }]) => (life.secrets.hasRead(secretKey) ? [key] : []));
  }

  /** The ends of migrations. */
  wakes(reflector: Source["reflector"]): Source {
    return {
      reflector,
      connect: (add) => {
        this.#adders.add(add);
        return () => void this.#adders.delete(add);
      },
    };
  }

  async close(): Promise<void> {
    const lives = [...this.#lives.values()];
    this.#lives.clear();
    await Promise.all(lives.map(({ life }) => life.close()));
  }

  async reconcile(key: string, context: ReconcileContext): Promise<Processed | undefined> {
    const object = this.#dependencies.followed.stores.store.get(key);
    if (object === undefined) {
      await this.#forget(key);
      return undefined;
    }
    const reading = readStore(object);
    if (reading.kind === "Faulty") {
      await this.#writeFaulty(object, reading.message, context);
      return undefined;
    }
    const life = await this.#lifeOf(key, object);
    const store = reading.resource as StoredStore;
    if (store.metadata.deletionTimestamp !== undefined)
      return this.#end(key, { object, store, life }, context);
    await this.#keepFinalizer(store, context);
    return this.#keep(key, { object, store, life }, context);
  }

  /** Looks, does what is to be done, and looks again, until nothing is; then says how it stands. */
  async #keep(key: string, { object, store, life }: Subject, context: ReconcileContext): Promise<Processed> {
    const { events: recorder, log } = this.#dependencies;
    const events = new StoreEvents(recorder, object);
    const pool = this.#poolOf(key);
    let look = await life.look(store, pool, context);
    let plan = planStore(look.observation);
    let failure: Error | undefined;
    for (let count = 0; count < STEPS_MAX && plan.step !== undefined && failure === undefined; count += 1) {
      try {
        await this.#apply(key, { store, life, events }, plan.step, look, context);
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error), { cause: error });
      }
      look = await life.look(store, pool, context);
      plan = planStore(look.observation);
    }
    this.#share(key, store, plan, look);
    await this.#writeStatus(object, storeStatus(store, look, plan, this.#now()), events, context);
    if (failure !== undefined) {
      context.signal.throwIfAborted();
      log("warn", "a step for a Store failed", { key, ...errorFields(failure) });
      throw failure;
    }
    return { requeueAfterMs: CHECK_MS + randomInt(-CHECK_JITTER_MS, CHECK_JITTER_MS) };
  }

  async #apply(
    key: string,
    { store, life, events }: Pick<Subject, "store" | "life"> & { readonly events: StoreEvents },
    step: StoreStep,
    { reached }: StoreLook,
    context: ReconcileContext,
  ): Promise<void> {
    if (reached === undefined) return;
    if (step.kind === "Migrate") {
      context.assertCurrent();
      events.tell("MigrationStarted", `to version ${versionText(newestVersion())}`, "Migrate");
      life.startMigration(store, reached, context, (outcome) => {
        events.tellMigration(store.spec.schema, outcome);
        for (const add of this.#adders) add(key);
      });
      return;
    }
    if (step.kind === "WriteSettings") {
      await life.writeSettings(store, step.settings, reached, context);
      return;
    }
    const event = await life.applyCredential(store, step, reached, context);
    if (event === undefined) return;
    const what = event === "RolesCreated" ? "a role was created" : "a new password was handed out";
    events.tell(event, `${what} for the ${step.audience}`, "Provision");
  }

  /** What others may reach. Where the server is not reached, they keep what they have. */
  #share(key: string, store: StoredStore, { isUsable }: StorePlan, { reached }: StoreLook): void {
    const { stores: connections } = this.#dependencies;
    if (reached === undefined) return;
    if (!isUsable) {
      connections.disconnect(key);
      return;
    }
    const { source, fingerprint, facts } = reached.link;
    connections.connect({
      key,
      uid: store.metadata.uid,
      schema: store.spec.schema,
      source,
      fingerprint: `${fingerprint} ${facts.pooled}`,
    });
  }

  async #end(
    key: string,
    { object, store, life }: Subject,
    context: ReconcileContext,
  ): Promise<Processed | undefined> {
    const events = new StoreEvents(this.#dependencies.events, object);
    if (store.metadata.finalizers?.includes(DROP_SCHEMA_FINALIZER) !== true) return undefined;
    if (store.spec.deletionPolicy === "Retain") {
      await this.#keepFinalizer(store, context);
      return undefined;
    }
    const { taskQueues } = this.#dependencies.followed;
    const queueNames = taskQueues.store.find(INDEX.store, key).map(({ metadata }) => metadata?.name ?? "");
    const step = await endStore({
      store,
      queueNames,
      nowMs: this.#dependencies.clock.wallTime().getTime(),
      reach: async () => {
        context.assertCurrent();
        // No queue needs it any more: whoever looked now and then must not find the schema gone.
        this.#dependencies.stores.disconnect(key);
        const { reached, observation } = await life.look(store, { queueCount: 0, replicasMax: 0 }, context);
        // In a namespace that goes, the Secret may be gone first: what was read of it still opens the door.
        return reached?.link ?? life.link.current ?? observation.connection.message;
      },
    });
    if (step.kind === "Wait") {
      const told = findCondition(store.status, "Ready");
      if (told?.reason !== "Deleting" || told.message !== step.message) {
        events.tell("DeletionBlocked", step.message, "Delete");
      }
      const claims = [claimDeleting(step.message)];
      const { generation } = store.metadata;
      const deleting = conditionsOf(claims, store.status?.conditions, { generation, now: this.#now() });
      const others = (store.status?.conditions ?? []).filter(({ type }) => type !== "Ready");
      const status: StoreStatus = { ...store.status, conditions: [...deleting, ...others] };
      await this.#writeStatus(object, status, events, context);
      return { requeueAfterMs: CHECK_MS };
    }
    this.#dependencies.crashPoint("stores.schemaDropped");
    events.tell(step.kind === "Dropped" ? "SchemaDropped" : "SchemaRetained", step.message, "Delete");
    await this.#writeFinalizers(store, context, false);
    return undefined;
  }

  /** A finalizer stands as long as there is something to do at the end. */
  async #keepFinalizer(store: StoredStore, context: ReconcileContext): Promise<void> {
    const wanted = store.spec.deletionPolicy === "DropSchema";
    const stands = store.metadata.finalizers?.includes(DROP_SCHEMA_FINALIZER) === true;
    // The server takes no new finalizer once the deletion began.
    if (wanted !== stands) await this.#writeFinalizers(store, context, wanted);
  }

  async #writeFinalizers(
    { metadata }: StoredStore,
    { client, signal }: ReconcileContext,
    wanted: boolean,
  ): Promise<void> {
    const { name, namespace, uid, resourceVersion } = metadata;
    const others = (metadata.finalizers ?? []).filter((finalizer) => finalizer !== DROP_SCHEMA_FINALIZER);
    const finalizers = wanted ? [...others, DROP_SCHEMA_FINALIZER] : others;
    // The list is written whole, so only onto the very object that was read.
    const body = { metadata: { uid, resourceVersion, finalizers } };
    const options = { fieldManager: FINALIZER_MANAGER, signal };
    await client.patch(STORES, { name, namespace }, { kind: "merge", body }, options);
  }

  async #writeStatus(
    object: StoreObject,
    status: StoreStatus,
    events: StoreEvents,
    context: ReconcileContext,
  ): Promise<void> {
    const { client, signal } = context;
    const common = {
      client,
      signal,
      type: STORES,
      object,
      ownedConditions: OWNED_CONDITIONS,
      fieldManager: FIELD_MANAGERS.stores,
    };
    events.tellChanges(object.status, status);
    if (isSame(object.status, status)) return;
    await applyStatus({
      ...common,
      ownedFields: STATUS_FIELDS,
      status: { ...status, lastCheckTime: this.#now() },
    });
  }

  async #writeFaulty(object: StoreObject, message: string, context: ReconcileContext): Promise<void> {
    const generation = object.metadata?.generation;
    const claims = [{ type: "Ready", status: "False", reason: "NotConnected", message }] as const;
    const conditions = conditionsOf(claims, object.status?.conditions, { generation, now: this.#now() });
    await this.#writeStatus(
      object,
      { conditions },
      new StoreEvents(this.#dependencies.events, object),
      context,
    );
  }

  /** The Store is gone: with it its connections; its schema stays unless it was dropped before. */
  async #forget(key: string): Promise<void> {
    const known = this.#lives.get(key);
    this.#lives.delete(key);
    this.#dependencies.stores.disconnect(key);
    if (known === undefined) return;
    this.#tellRetained(known.object);
    await known.life.close();
  }

  #tellRetained(object: StoreObject): void {
    const reading = readStore(object);
    if (reading.kind !== "Read" || reading.resource.spec.deletionPolicy !== "Retain") return;
    const note = `schema "${reading.resource.spec.schema}" stays in its database with all runs, and so do its roles`;
    new StoreEvents(this.#dependencies.events, object).tell("SchemaRetained", note, "Delete");
  }

  async #lifeOf(key: string, object: StoreObject): Promise<StoreLife> {
    const uid = object.metadata?.uid ?? "";
    const known = this.#lives.get(key);
    if (known?.life.uid === uid) {
      known.object = object;
      return known.life;
    }
    if (known !== undefined) await this.#forget(key);
    const life = new StoreLife(uid, this.#dependencies);
    this.#lives.set(key, { life, object });
    return life;
  }

  #poolOf(key: string): Pick<StoreObservation["pool"], "queueCount" | "replicasMax"> {
    const queues = this.#dependencies.followed.taskQueues.store.find(INDEX.store, key);
    const replicas = queues.map((queue) => {
      const reading = readTaskQueue(queue);
      if (reading.kind === "Faulty") return 0;
      const { scaling, replicas: manual = 0 } = reading.resource.spec;
      return scaling.mode === "Manual" ? manual : scaling.maxReplicas;
    });
    return { queueCount: queues.length, replicasMax: replicas.reduce((sum, count) => sum + count, 0) };
  }

  #now(): string {
    return this.#dependencies.clock.wallTime().toISOString();
  }
}

interface Subject {
  readonly object: StoreObject;
  readonly store: StoredStore;
  readonly life: StoreLife;
}

/** The Store of a TaskQueue, read from what the server sent: it may be faulty elsewhere. */
function storeKeysOf(queue: KubeObject & { readonly spec?: unknown }, key: string): readonly string[] {
  const name = (queue.spec as { readonly storeRef?: { readonly name?: unknown } } | undefined)?.storeRef
    ?.name;
  const { namespace } = parseKey(key);
  return typeof name === "string" && namespace !== undefined ? [`${namespace}/${name}`] : [];
}

/** In all but the time of the look, and the times at which what stands began. */
function isSame(before: StoreStatus | undefined, after: StoreStatus): boolean {
  const plain = (status: StoreStatus): string => {
    const conditions = (status.conditions ?? []).toSorted((left, right) =>
      left.type.localeCompare(right.type),
    );
    return canonical({ ...status, lastCheckTime: undefined, conditions });
  };
  return before !== undefined && plain(before) === plain(after);
}

/** The server sends members in an order of its own. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([left], [right]) => left.localeCompare(right)))
      : member,
  );
}
