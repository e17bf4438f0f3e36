/**
 * A Store that the controller looks after in a test: a mock API server, the real Postgres of the run, a clock turned by hand.
 *
 * Promises a schema of its own, and that the schema and all roles that were made go at the end. Reconciles only when the test
 * says so.
 */
import { randomBytes } from "node:crypto";
import { quoteIdentifier, resolveConnection, Session } from "@memflow/engine/provision";
import type { StoreStatus } from "@memflow/crds";
import { API_VERSION } from "@memflow/crds";
import { onTestFinished } from "vitest";
import { INDEX, STORES, TASK_QUEUES } from "../../api/index.ts";
import type { Followed, StoreObject, TaskQueueObject } from "../../api/index.ts";
import { KubeClient, metadataOf, Reflector, SECRETS } from "../../kube/index.ts";
import type { Controller, Happening, KubeObject, ReconcileContext, Secret } from "../../kube/index.ts";
import { Bell } from "../../testing/bell.ts";
import { recordLog } from "../../testing/log-recorder.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { MockApiServer } from "../../testing/mock-api/mock-api-server.ts";
import { roleNames } from "../role-names.ts";
import { makeStoresController } from "../store-controller.ts";
import { StoreConnections } from "../store-connections.ts";

export const NAMESPACE = "shop";
export const STORE_NAME = "main";
export const KEY: string = `${NAMESPACE}/${STORE_NAME}`;
/** Holds the operator's own connection string. */
export const USER_SECRET = "database";

export interface OperateOptions {
  /** Members of the spec beside connection and schema. */
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Default: the run's, as a superuser. */
  readonly url?: string;
  /** Whether metadata of Secrets is followed (default true). */
  readonly followsSecrets?: boolean;
}

/** The connection string of the run's Postgres. */
export function databaseUrl(changes: Partial<Pick<URL, "host" | "username" | "password">> = {}): string {
  const url = process.env["MEMFLOW_TEST_DATABASE_URL"];
  if (url === undefined) throw new Error("MEMFLOW_TEST_DATABASE_URL is not set; run the tests with vitest");
  return Object.assign(new URL(url), changes).href;
}

/** A name that no other test has. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(6).toString("hex")}`;
}

/** A session of the superuser, closed at the end of the test. */
export function adminSession(): Session {
  const session = new Session({ source: resolveConnection(databaseUrl()), purpose: "test" });
  onTestFinished(() => session.close());
  return session;
}

/** A Store under operation. */
export class OperatedStore {
  readonly api: MockApiServer;
  readonly client: KubeClient;
  readonly clock: ManualClock = new ManualClock();
  readonly admin: Session;
  readonly schema: string = uniqueName("operated");
  readonly happenings: Happening[] = [];
  readonly #followed: Pick<Followed, "stores" | "taskQueues" | "secrets">;
  readonly #bell = new Bell();
  #controller: Controller;
  #connections: StoreConnections;
  #wakeCount = 0;
  #crashAt: string | undefined;
  /** Names of the crash points that were passed. */
  readonly passed: string[] = [];
  leads = true;
  fencingToken = 1;

  /** @see OperateOptions */
  static async start(options: OperateOptions = {}): Promise<OperatedStore> {
    const api = await MockApiServer.start({ types: [STORES, TASK_QUEUES, SECRETS] });
    const operated = new OperatedStore(api, options.followsSecrets ?? true);
    operated.writeSecret(USER_SECRET, { uri: options.url ?? databaseUrl() });
    api.cluster.create<StoreObject>(STORES, {
      apiVersion: API_VERSION,
      kind: "Store",
      metadata: { name: STORE_NAME, namespace: NAMESPACE, ...options.metadata },
      spec: {
        connection: { secretRef: { name: USER_SECRET }, tls: { mode: "disable" } },
        schema: operated.schema,
        ...options.spec,
      },
    });
    return operated;
  }

  private constructor(api: MockApiServer, followsSecrets: boolean) {
    this.api = api;
    this.client = new KubeClient({ kubeConfig: api.kubeConfig(), attemptMax: 1 });
    this.admin = new Session({ source: resolveConnection(databaseUrl()), purpose: "test" });
    const { log } = recordLog();
    const common = { client: this.client, log, backoff: { firstMs: 1, maxMs: 10 } };
    const storeKey = (queue: TaskQueueObject): readonly string[] => {
      const { storeRef } = queue.spec as { readonly storeRef: { readonly name: string } };
      return [`${queue.metadata?.namespace ?? ""}/${storeRef.name}`];
    };
    const stores = new Reflector<StoreObject>({ ...common, type: STORES });
    const taskQueues = new Reflector<TaskQueueObject>({
      ...common,
      type: TASK_QUEUES,
      indexes: { [INDEX.store]: storeKey },
    });
    const secrets = new Reflector<KubeObject>({ ...common, type: metadataOf(SECRETS) });
    const reflectors = [stores, taskQueues, secrets] as const;
    for (const reflector of reflectors) {
      reflector.onChange(() => this.#bell.ring());
      reflector.start();
    }
    this.#followed = { stores, taskQueues, secrets: followsSecrets ? secrets : undefined };
    this.#connections = new StoreConnections(log);
    this.#controller = this.#makeController();
    onTestFinished(async () => {
      await this.#dropAll();
      await this.#connections.close();
      await Promise.all(reflectors.map((reflector) => reflector.stop()));
      await this.client.close();
      await api.close();
      await this.admin.close();
    });
  }

  get connections(): StoreConnections {
    return this.#connections;
  }

  /** The Store as the server has it. */
  get object(): StoreObject {
    const object = this.api.cluster.find(STORES, { namespace: NAMESPACE, name: STORE_NAME });
    if (object === undefined) throw new Error("the Store is gone");
    return object;
  }

  get isThere(): boolean {
    return this.api.cluster.find(STORES, { namespace: NAMESPACE, name: STORE_NAME }) !== undefined;
  }

  get events(): readonly string[] {
    return this.happenings.map(({ reason }) => reason);
  }

  /** All roles that the Store may have. */
  async roles(): Promise<readonly { readonly name: string; readonly canLogin: boolean }[]> {
    const { rows } = await this.admin.query<{ name: string; canLogin: boolean }>({
      text: `select rolname as name, rolcanlogin as "canLogin" from pg_roles where rolname = any ($1::text[]) order by rolname`,
      values: [await this.#roleNames()],
    });
    return rows;
  }

  /** Makes or changes a Secret. */
  writeSecret(name: string, values: Readonly<Record<string, string>>): void {
    const data = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
    );
    const known = this.api.cluster.find(SECRETS, { namespace: NAMESPACE, name });
    const metadata = { namespace: NAMESPACE, name };
    if (known === undefined) this.api.cluster.create<Secret>(SECRETS, { metadata, data });
    else this.api.cluster.replace(SECRETS, { ...known, data });
  }

  /** The values of a Secret; undefined without it. */
  readSecret(name: string): Readonly<Record<string, string>> | undefined {
    const secret = this.api.cluster.find(SECRETS, { namespace: NAMESPACE, name });
    if (secret === undefined) return undefined;
    return Object.fromEntries(
      Object.entries((secret.data ?? {}) as Readonly<Record<string, string>>).map(([key, value]) => [
        key,
        Buffer.from(value, "base64").toString("utf8"),
      ]),
    );
  }

  /** Changes the Store as a user does. */
  change(change: { readonly spec?: object; readonly annotations?: Readonly<Record<string, string>> }): void {
    const { object } = this;
    this.api.cluster.replace(STORES, {
      ...object,
      metadata: { ...object.metadata, ...(change.annotations ? { annotations: change.annotations } : {}) },
      spec: { ...(object.spec as object), ...change.spec },
    });
  }

  /** One reconcile, as soon as all that the server has is known. */
  async reconcile(): Promise<StoreStatus | undefined> {
    await this.#untilSynced();
    await this.#controller.reconcile(KEY, this.context());
    return this.isThere ? this.object.status : undefined;
  }

  /** Reconciles until no migration runs and the status says the same twice. */
  async settle(): Promise<StoreStatus> {
    for (;;) {
      const wakeCount = this.#wakeCount;
      const before = this.object.metadata?.resourceVersion;
      await this.reconcile();
      const { status, metadata } = this.object;
      const isMigrating = reasonOf(status, "Migrating") === "MigrationRunning";
      if (isMigrating) await this.#bell.until(() => this.#wakeCount > wakeCount);
      else if (before === metadata?.resourceVersion && status !== undefined) return status;
    }
  }

  /** Another process goes on: it knows nothing of what this one knew. */
  async restart(): Promise<void> {
    await this.#connections.close();
    this.#connections = new StoreConnections(recordLog().log);
    this.#controller = this.#makeController();
  }

  /** Reconciles until the migration has ended, and not once more: no roles are there yet. */
  async settleUntilSchema(): Promise<void> {
    const wakeCount = this.#wakeCount;
    await this.reconcile();
    await this.#bell.until(() => this.#wakeCount > wakeCount);
  }

  /** Reconciles in another process too, which believes that it leads. */
  async settleWithRival(): Promise<void> {
    const connections = new StoreConnections(recordLog().log);
    const rival = this.#makeController(connections);
    const context = this.context();
    await this.#untilSynced();
    const tries = [rival.reconcile(KEY, context), this.#controller.reconcile(KEY, context)];
    await Promise.allSettled(tries);
    await this.settle();
    await connections.close();
  }

  /** Lets the clock show what the server's does, which wrote when the deletion began. */
  alignClock(): void {
    const { deletionTimestamp } = this.object.metadata ?? {};
    const aheadMs = Date.parse(deletionTimestamp ?? "") - this.clock.wallTime().getTime();
    if (aheadMs > 0) this.clock.jump(aheadMs);
  }

  /** The process dies at this crash point, the next time it comes there. */
  crashAt(name: string): void {
    this.#crashAt = name;
  }

  context(): ReconcileContext {
    return {
      client: this.client,
      signal: new AbortController().signal,
      fencingToken: this.fencingToken,
      assertCurrent: () => {
        if (!this.leads) throw Object.assign(new Error("another process leads"), { code: "LEADERSHIP_LOST" });
      },
    };
  }

  #makeController(connections: StoreConnections = this.#connections): Controller {
    const { log } = recordLog();
    const controller = makeStoresController({
      followed: this.#followed as Followed,
      events: { record: (happening) => void this.happenings.push(happening) },
      log,
      clock: this.clock,
      resyncMs: 30_000,
      crashPoint: (name) => {
        this.passed.push(name);
        if (name !== this.#crashAt) return;
        this.#crashAt = undefined;
        throw new Error(`crashed at ${name}`);
      },
      stores: connections,
    });
    for (const source of controller.sources.slice(-1)) {
      source.connect(() => {
        this.#wakeCount += 1;
        this.#bell.ring();
      });
    }
    return controller;
  }

  async #untilSynced(): Promise<void> {
    const { stores, taskQueues, secrets } = this.#followed;
    const versions = (objects: readonly KubeObject[]): string =>
      objects
        .map(({ metadata }) => `${metadata?.uid} ${metadata?.resourceVersion}`)
        .toSorted()
        .join();
    const { cluster } = this.api;
    await this.#bell.until(
      () =>
        versions(stores.store.list()) === versions(cluster.list(STORES)) &&
        versions(taskQueues.store.list()) === versions(cluster.list(TASK_QUEUES)) &&
        (secrets === undefined || versions(secrets.store.list()) === versions(cluster.list(SECRETS))),
    );
  }

  async #roleNames(): Promise<readonly string[]> {
    const { rows } = await this.admin.query<{ database: string }>({
      text: "select current_database()::text as database",
    });
    const database = rows[0]?.database ?? "";
    return [...this.#uids()].flatMap((uid) => roleNames({ database, schema: this.schema, uid }));
  }

  readonly #knownUids = new Set<string>();

  #uids(): ReadonlySet<string> {
    if (this.isThere) this.#knownUids.add(this.object.metadata?.uid ?? "");
    return this.#knownUids;
  }

  async #dropAll(): Promise<void> {
    await this.admin.query({ text: `drop schema if exists ${quoteIdentifier(this.schema)} cascade` });
    for (const { name } of await this.roles()) {
      await this.admin.query({ text: `drop owned by ${quoteIdentifier(name)} cascade` });
      await this.admin.query({ text: `drop role ${quoteIdentifier(name)}` });
    }
  }
}

/** The reason of a condition; with its status, where that is not True. */
export function reasonOf(status: StoreStatus | undefined, type: string): string | undefined {
  return status?.conditions?.find((condition) => condition.type === type)?.reason;
}

/** All conditions as `Type=Status/Reason`. */
export function conditionsText(status: StoreStatus | undefined): readonly string[] {
  return (status?.conditions ?? []).map(({ type, status: holds, reason }) => `${type}=${holds}/${reason}`);
}
