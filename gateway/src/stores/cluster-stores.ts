/**
 * The Stores of a cluster: objects are followed, credentials are read by name, connections are opened when they are first needed.
 *
 * Promises: new credentials are taken up without a failed call; while the API server is away, what is open goes on, and
 * definitions are those that were seen last; a Store that can't be used says why in words that its own conditions use. It
 * lists no Secrets and writes nothing.
 */
import { StoreClient } from "@memflow/engine";
import type { ConnectionSource } from "@memflow/engine";
import { newestVersion, Session } from "@memflow/engine/provision";
import {
  findCondition,
  readStore,
  readTaskQueue,
  readWorkflow,
  STORES,
  TASK_QUEUES,
  WORKFLOWS,
} from "@memflow/operator/api";
import type { CustomObject, StoreObject, TaskQueueObject, WorkflowObject } from "@memflow/operator/api";
import {
  errorFields,
  followNamespaces,
  identityOf,
  keyOf,
  Reflector,
  SECRETS,
  sleep,
} from "@memflow/operator/kube";
import type { FollowedObjects, KubeClient, KubeObject, Log, ResourceType } from "@memflow/operator/kube";
import { UnavailableError } from "../auth/index.ts";
import { StoreAmbiguousError, StoreNotFoundError } from "./index.ts";
import type { StoreEntry, Stores } from "./index.ts";
import { findDefinition, queueDefinition, storeDefinitions } from "./manifest-definitions.ts";
import type { StoreDefinitions } from "./manifest-definitions.ts";
import { RotatingClient } from "./rotating-client.ts";
import { readStoreCredentials } from "./store-credentials.ts";
import type { StoreCredentials } from "./store-credentials.ts";

/** What it works with. */
export interface ClusterStoresOptions {
  readonly client: KubeClient;
  /** Kubernetes namespaces to serve; undefined: all. */
  readonly namespaces: readonly string[] | undefined;
  readonly log: Log;
  /** Between two looks at the Secrets of open Stores (default 30,000). Roles that are replaced keep their login for 10 min. */
  readonly lookMs?: number;
}

interface OpenStore {
  readonly uid: string;
  readonly schema: string;
  readonly rotating: RotatingClient;
  fingerprint: string;
}

/** A failure that stands for a moment, so that a Store that is down is not tried for each request. */
interface Failure {
  readonly error: unknown;
  readonly atMs: number;
}

const LOOK_MS = 30_000;
const FAILURE_KEPT_MS = 1_000;
const RETRY_AFTER_SECONDS = 5;
const BY_NAMESPACE = "namespace";

/** @see ClusterStoresOptions */
export class ClusterStores implements Stores {
  readonly #options: ClusterStoresOptions;
  readonly #stores: FollowedObjects<StoreObject>;
  readonly #taskQueues: FollowedObjects<TaskQueueObject>;
  readonly #workflows: FollowedObjects<WorkflowObject>;
  readonly #open = new Map<string, OpenStore>();
  readonly #opening = new Map<string, Promise<OpenStore>>();
  readonly #failures = new Map<string, Failure>();
  readonly #stopping = new AbortController();
  #looking: Promise<void> | undefined;

  constructor(options: ClusterStoresOptions) {
    this.#options = options;
    this.#stores = this.#follow(STORES);
    this.#taskQueues = this.#follow(TASK_QUEUES);
    this.#workflows = this.#follow(WORKFLOWS);
    this.#stores.onChange((change) => {
      const uid = identityOf(change.object).uid;
      if (change.type === "deleted") void this.#forget(change.key, uid);
      else if (change.type === "updated") void this.#renew(change.key);
    });
  }

  /** What is followed, for health and metrics. */
  get followed(): readonly FollowedObjects<KubeObject>[] {
    return [this.#stores, this.#taskQueues, this.#workflows];
  }

  /** Connected Stores. */
  get openCount(): number {
    return this.#open.size;
  }

  get synced(): boolean {
    return this.followed.every(({ state }) => state.synced);
  }

  /** Begins to follow. */
  start(): void {
    for (const one of this.followed) one.start();
    this.#looking ??= this.#lookNowAndThen();
  }

  /** Ends following and closes all connections, once their calls have ended. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.followed.map((one) => one.stop()), this.#looking]);
    await Promise.allSettled(this.#opening.values());
    await Promise.all([...this.#open.values()].map(({ rotating }) => rotating.close()));
    this.#open.clear();
  }

  async resolve(namespace: string, store?: string): Promise<StoreEntry> {
    const object = this.#find(namespace, store);
    return this.#entry(object, await this.#use(object));
  }

  async list(namespace: string): Promise<readonly StoreEntry[]> {
    this.#assertSynced();
    const objects = this.#ofNamespace(namespace);
    const opened = await Promise.allSettled(objects.map((object) => this.#use(object)));
    return opened.flatMap((result, index) => {
      const object = objects[index];
      return result.status === "fulfilled" && object !== undefined ? [this.#entry(object, result.value)] : [];
    });
  }

  #follow<T extends KubeObject>(type: ResourceType<T>): FollowedObjects<T> {
    const { client, namespaces, log } = this.#options;
    const indexes = { [BY_NAMESPACE]: (object: T) => [object.metadata?.namespace ?? ""] };
    const reflectorOf = (namespace: string | undefined): Reflector<T> =>
      new Reflector({ client, type, log, indexes, selection: { namespace } });
    if (namespaces === undefined) return reflectorOf(undefined);
    return followNamespaces(new Map(namespaces.map((namespace) => [namespace, reflectorOf(namespace)])));
  }

  #assertSynced(): void {
    if (!this.synced) throw new UnavailableError("the cluster's Stores are not known yet");
  }

  #ofNamespace(namespace: string): readonly StoreObject[] {
    return this.#stores.store
      .find(BY_NAMESPACE, namespace)
      .toSorted((left, right) => (nameOf(left) < nameOf(right) ? -1 : 1));
  }

  #find(namespace: string, store: string | undefined): StoreObject {
    this.#assertSynced();
    const all = this.#ofNamespace(namespace);
    const named = store === undefined ? all : all.filter((object) => nameOf(object) === store);
    const [only] = named;
    if (only === undefined) throw new StoreNotFoundError(namespace, store);
    if (named.length > 1) throw new StoreAmbiguousError(namespace, named.map(nameOf));
    return only;
  }

  #entry(object: StoreObject, { rotating }: OpenStore): StoreEntry {
    const { namespace = "", name } = identityOf(object);
    const definitions = this.#definitions(namespace, name);
    return {
      namespace,
      name,
      client: rotating.face,
      workflows: () => definitions.workflows,
      workflowOf: (type, taskQueue) => findDefinition(definitions.workflows, type, taskQueue),
      queues: () => definitions.queues,
    };
  }

  #definitions(namespace: string, store: string): StoreDefinitions {
    const queues = new Map(
      this.#taskQueues.store.find(BY_NAMESPACE, namespace).flatMap((object) => {
        const read = readTaskQueue(object);
        if (read.kind !== "Read" || read.resource.spec.storeRef.name !== store) return [];
        return [[read.resource.metadata.name, { taskQueue: read.resource, scaling: object.status?.scaling }]];
      }),
    );
    const placed = this.#workflows.store.find(BY_NAMESPACE, namespace).flatMap((object: CustomObject) => {
      const read = readWorkflow(object);
      if (read.kind !== "Read") return [];
      const queue = queues.get(read.resource.spec.taskQueueRef.name);
      return queue === undefined ? [] : [{ workflow: read.resource, taskQueue: queue.taskQueue }];
    });
    return storeDefinitions(
      placed,
      [...queues.values()].map(({ taskQueue, scaling }) => queueDefinition(taskQueue, scaling)),
    );
  }

  /** The Store's connection: the open one, or one that is opened for all who ask meanwhile. */
  async #use(object: StoreObject): Promise<OpenStore> {
    const { uid, ...name } = identityOf(object);
    const key = keyOf(name);
    const open = this.#open.get(key);
    if (open?.uid === uid) return open;
    const failure = this.#failures.get(key);
    if (failure !== undefined && this.#nowMs - failure.atMs < FAILURE_KEPT_MS) throw failure.error;
    const under = this.#opening.get(key);
    if (under !== undefined) return under;
    const opening = this.#openStore(object, key).finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    return opening;
  }

  async #openStore(object: StoreObject, key: string): Promise<OpenStore> {
    const { uid } = identityOf(object);
    try {
      const schema = schemaOf(object);
      const { source, fingerprint } = await this.#readCredentials(object);
      const client = await connect(key, { source, schema });
      const rotating = new RotatingClient(client, (error) =>
        this.#warn("a connection of a Store did not close well", key, error),
      );
      const opened = { uid, schema, rotating, fingerprint };
      this.#open.set(key, opened);
      this.#failures.delete(key);
      this.#options.log("info", "connected to a Store", { store: key });
      return opened;
    } catch (error) {
      this.#failures.set(key, { error, atMs: this.#nowMs });
      this.#warn("a Store can't be reached", key, error);
      throw error;
    }
  }

  /** @throws {UnavailableError} Saying what the Store lacks. */
  async #readCredentials(object: StoreObject): Promise<StoreCredentials> {
    const { name, namespace, uid } = identityOf(object);
    const secretName = object.status?.gatewaySecret?.name;
    assertUsable(object, secretName);
    const secret = await this.#options.client
      .find(SECRETS, { namespace, name: secretName })
      .catch((cause: unknown) => {
        throw notReady(name, `its Secret "${secretName}" can't be read (${codeOf(cause)})`, cause);
      });
    if (secret === undefined) throw notReady(name, `its Secret "${secretName}" is not there`);
    const read = readStoreCredentials(secret, uid);
    if (read.kind === "Unusable") throw notReady(name, read.reason);
    return read.credentials;
  }

  /** Takes up new credentials of an open Store, if there are any; while they can't be used, the old ones stay. */
  async #renew(key: string): Promise<void> {
    const open = this.#open.get(key);
    const object = this.#stores.store.get(key);
    if (open === undefined || object === undefined || this.#opening.has(key)) return;
    const renewing = this.#replaceClient(object, key, open).finally(() => this.#opening.delete(key));
    this.#opening.set(key, renewing);
    await renewing;
  }

  async #replaceClient(object: StoreObject, key: string, open: OpenStore): Promise<OpenStore> {
    try {
      const { source, fingerprint } = await this.#readCredentials(object);
      if (fingerprint === open.fingerprint || identityOf(object).uid !== open.uid) return open;
      open.rotating.replace(await connect(key, { source, schema: open.schema }));
      open.fingerprint = fingerprint;
      this.#options.log("info", "took up new credentials of a Store", { store: key });
    } catch (error) {
      this.#warn("new credentials of a Store can't be taken up, those before stay", key, error);
    }
    return open;
  }

  async #forget(key: string, uid: string): Promise<void> {
    const open = this.#open.get(key);
    if (open?.uid !== uid) return;
    this.#open.delete(key);
    await open.rotating.close();
  }

  async #lookNowAndThen(): Promise<void> {
    const { client, lookMs = LOOK_MS } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      await sleep(client.clock, lookMs, signal);
      if (signal.aborted) return;
      await Promise.all([...this.#open.keys()].map((key) => this.#renew(key)));
    }
  }

  get #nowMs(): number {
    return this.#options.client.clock.steadyMs();
  }

  #warn(message: string, store: string, error: unknown): void {
    this.#options.log("warn", message, { store, ...errorFields(error) });
  }
}

async function connect(
  key: string,
  { source, schema }: Pick<StoreCredentials, "source"> & { readonly schema: string },
): Promise<StoreClient> {
  try {
    await probe(source);
    return await StoreClient.open(source, schema);
  } catch (cause) {
    throw notReady(key, `its database can't be used (${codeOf(cause)})`, cause);
  }
}

/** Whether these credentials let in: to open a client does not try them where the same role was let in before. */
async function probe(source: ConnectionSource): Promise<void> {
  const session = new Session({ source, purpose: "probe" });
  try {
    await session.query({ text: "select 1" });
  } finally {
    await session.close();
  }
}

/** A gateway never migrates: where the schema is of another version, the operator has not come to it yet. */
function assertUsable(object: StoreObject, secretName: string | undefined): asserts secretName is string {
  const { schemaVersion } = object.status ?? {};
  const ready = findCondition(object.status, "Ready");
  if (secretName === undefined || schemaVersion === undefined) {
    throw notReady(nameOf(object), ready?.message ?? "the operator has not looked at it yet");
  }
  if (Number(schemaVersion) === newestVersion()) return;
  throw notReady(
    nameOf(object),
    `its schema is of version ${schemaVersion}, and this gateway works with ${newestVersion()}`,
  );
}

function notReady(store: string, reason: string, cause?: unknown): UnavailableError {
  return new UnavailableError(`store "${store}" is not ready: ${reason}`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    ...(cause === undefined ? {} : { cause }),
  });
}

function nameOf(object: KubeObject): string {
  return object.metadata?.name ?? "";
}

/** @throws {UnavailableError} When the manifest was stored under other definitions. */
function schemaOf(object: StoreObject): string {
  const read = readStore(object);
  if (read.kind === "Read") return read.resource.spec.schema;
  throw notReady(nameOf(object), read.message);
}

/** Where a database is, is not for callers; the log has the whole. */
function codeOf(error: unknown): string {
  const { code } = errorFields(error);
  return typeof code === "string" ? code : "see the gateway's log";
}
