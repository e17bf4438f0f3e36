/**
 * One Store as the operator looks after it: what is known of it from one look to the next, and how a step is done.
 *
 * Promises that all of it may be lost: what a rotation has to remember stands in its Secret, what a migration did in the
 * schema; a new process finds both and goes on. Decides nothing: `core/plan-store.ts` does.
 */
import { APPROVE_MIGRATION_ANNOTATION, durationMs } from "@memflow/crds";
import type { Store } from "@memflow/crds";
import {
  claimStoreSettings,
  newestVersion,
  readStoreSettings,
  schemaVersion,
  setStoreSettings,
  toStoreError,
  WORKER_CONNECTIONS_MAX,
} from "@memflow/engine/provision";
import type { StoreSettings } from "@memflow/engine/provision";
import type { OperatorDependencies } from "../api/index.ts";
import type { ReconcileContext } from "../kube/index.ts";
import type { AudienceStep } from "./core/plan-store.ts";
import type { SchemaObservation, StoreObservation } from "./core/store-observation.ts";
import { MigrationAttempts } from "./migration-attempts.ts";
import type { AttemptOutcome } from "./migration-attempts.ts";
import { disconnectionOf } from "./probe-database.ts";
import type { Disconnection, ProbeAnswer } from "./probe-database.ts";
import { roleNames } from "./role-names.ts";
import { RoleDeniedError } from "./roles.ts";
import { describeDenial, isDenial } from "./schema-denial.ts";
import { SecretReader } from "./secret-reader.ts";
import { StoreCredentials } from "./store-credentials.ts";
import type { CredentialEvent, CredentialsPlace } from "./store-credentials.ts";
import { StoreLink } from "./store-link.ts";
import type { Link } from "./store-link.ts";

/** A Store as the API server has it: with what each object there has. */
export type StoredStore = Store & {
  readonly metadata: { readonly uid: string; readonly namespace: string };
};

/** What a look found, and what it was found by. */
export interface StoreLook {
  readonly observation: StoreObservation;
  readonly reached: { readonly link: Link; readonly answer: ProbeAnswer } | undefined;
  readonly workersHash: string | undefined;
}

export type LifeDependencies = Pick<OperatorDependencies, "followed" | "clock" | "resyncMs" | "crashPoint">;

interface KnownSchema {
  readonly fingerprint: string;
  readonly observation: SchemaObservation;
  readonly settings: StoreSettings | undefined;
  readonly readMs: number;
  /** Of the leadership in which it was read. */
  readonly fence: number;
}

interface KnownDenial {
  readonly scope: string;
  readonly error: RoleDeniedError;
  readonly untilMs: number;
}

/** An administrator may have helped meanwhile. */
const DENIED_CHECK_MS = 30_000;

/** @see StoreLook */
export class StoreLife {
  readonly uid: string;
  readonly secrets: SecretReader;
  readonly link: StoreLink;
  readonly #dependencies: LifeDependencies;
  readonly #migrations: MigrationAttempts;
  readonly #credentials: StoreCredentials;
  #schema: KnownSchema | undefined;
  #denial: KnownDenial | undefined;

  constructor(uid: string, dependencies: LifeDependencies) {
    const { clock, followed, resyncMs } = dependencies;
    this.uid = uid;
    this.#dependencies = dependencies;
    this.secrets = new SecretReader({ followed: followed.secrets, clock, resyncMs });
    this.link = new StoreLink(clock);
    this.#migrations = new MigrationAttempts(clock);
    this.#credentials = new StoreCredentials(clock);
  }

  /** Looks at all that the plan is made from. */
  async look(
    store: StoredStore,
    pool: Pick<StoreObservation["pool"], "queueCount" | "replicasMax">,
    context: ReconcileContext,
  ): Promise<StoreLook> {
    const { spec, metadata } = store;
    const place = this.#secretPlace(store, context);
    const { uid } = metadata;
    const { connection, link, answer } = await this.link.look(spec, place, (database) =>
      roleNames({ database, schema: spec.schema, uid }),
    );
    const common = {
      name: metadata.name,
      spec,
      targetVersion: newestVersion(),
      approvedVersion: metadata.annotations?.[APPROVE_MIGRATION_ANNOTATION],
    };
    if (link === undefined) {
      this.#credentials.forgetUse();
      return unreached(common, connection, pool, this.#migrations.observe(""));
    }
    try {
      const { observation: schema, settings } = await this.#lookAtSchema(store, { link, answer }, context);
      const credentials = this.#credentialsPlace(store, { link, answer, schema }, context);
      const audiences = schema.version === 0 ? undefined : await this.#credentials.observe(credentials);
      const observation: StoreObservation = {
        ...common,
        connection,
        schema,
        settings,
        migration: this.#migrations.observe(scopeOf(store, link, schema)),
        audiences,
        credentialsFailure: this.#failureOf(store, link),
        pool: {
          ...pool,
          workerMax: WORKER_CONNECTIONS_MAX,
          serverMax: link.facts.pooled === "transaction" ? undefined : answer.connections.max,
        },
      };
      const workersHash = await this.#credentials.workersHash(credentials);
      return { observation, reached: { link, answer }, workersHash };
    } catch (error) {
      if (!isOfDatabase(error, link)) throw error;
      return unreached(common, disconnectionOf(error, link.source), pool, this.#migrations.observe(""));
    }
  }

  /**
   * Does one step of the plan for credentials.
   *
   * @returns What to tell; a right that is missing is remembered, and told by the next look.
   */
  async applyCredential(
    store: StoredStore,
    step: AudienceStep,
    reached: NonNullable<StoreLook["reached"]>,
    context: ReconcileContext,
  ): Promise<CredentialEvent> {
    context.assertCurrent();
    const schema = this.#schema?.observation ?? { exists: true, version: 0 };
    try {
      return await this.#credentials.apply(
        this.#credentialsPlace(store, { ...reached, schema }, context),
        step,
      );
    } catch (error) {
      if (!(error instanceof RoleDeniedError)) throw error;
      const untilMs = this.#dependencies.clock.steadyMs() + DENIED_CHECK_MS;
      this.#denial = { scope: denialScope(store, reached.link), error, untilMs };
      return undefined;
    }
  }

  /** Tells the database what the Store says of all its runs. */
  async writeSettings(
    store: StoredStore,
    settings: StoreSettings,
    { link }: NonNullable<StoreLook["reached"]>,
    { assertCurrent, fencingToken: fence }: ReconcileContext,
  ): Promise<void> {
    assertCurrent();
    // Looked at again: only what stands is believed.
    this.#schema = undefined;
    try {
      await setStoreSettings(link.session, store.spec.schema, { ...settings, fence });
    } catch (error) {
      const denied = await this.#denied(store, link, error);
      if (denied === undefined) throw error;
      this.#schema = this.#known(link, fence, { observation: denied, settings: undefined });
      return;
    }
    this.#dependencies.crashPoint("stores.settingsWritten");
  }

  /** Begins to migrate; `onEnd` hears of its end. */
  startMigration(
    store: StoredStore,
    { link }: NonNullable<StoreLook["reached"]>,
    context: ReconcileContext,
    onEnd: (outcome: AttemptOutcome) => void,
  ): void {
    const { migrations, schema } = store.spec;
    this.#migrations.start({
      scope: scopeOf(store, link, this.#schema?.observation ?? { exists: false, version: 0 }),
      source: link.source,
      schema,
      lockTimeoutMs: durationMs(migrations.lockTimeout),
      deadlineMs: durationMs(migrations.activeDeadline),
      assertCurrent: () => context.assertCurrent(),
      onEnd: (outcome) => {
        this.#schema = undefined;
        onEnd(outcome);
      },
    });
  }

  /** Ends its connections; a migration under way ends with the leadership, or by itself. */
  async close(): Promise<void> {
    await this.link.close();
  }

  #secretPlace(store: StoredStore, { client, signal }: ReconcileContext): CredentialsPlace["secrets"] {
    return { client, signal, secrets: this.secrets, namespace: store.metadata.namespace };
  }

  #credentialsPlace(
    store: StoredStore,
    found: { readonly link: Link; readonly answer: ProbeAnswer; readonly schema: SchemaObservation },
    context: ReconcileContext,
  ): CredentialsPlace {
    return {
      store,
      link: found.link,
      answer: found.answer,
      schemaVersion: found.schema.version,
      secrets: this.#secretPlace(store, context),
      crashPoint: this.#dependencies.crashPoint,
    };
  }

  /**
   * The list of migrations, and the settings, are read when something suggests that they changed, and now and then. In each
   * leadership the first look keeps the leaders before it from writing settings, whether or not this one writes any.
   */
  async #lookAtSchema(
    store: StoredStore,
    { link, answer }: { readonly link: Link; readonly answer: ProbeAnswer },
    { fencingToken: fence }: ReconcileContext,
  ): Promise<KnownSchema> {
    const { clock, resyncMs } = this.#dependencies;
    const known = this.#schema;
    const freshMs = known?.observation.denial === undefined ? resyncMs : Math.min(resyncMs, DENIED_CHECK_MS);
    const isFresh =
      known?.fingerprint === link.fingerprint &&
      known.fence === fence &&
      known.observation.exists === answer.schemaExists &&
      clock.steadyMs() - known.readMs < freshMs;
    if (isFresh) return known;
    this.#schema = this.#known(link, fence, await this.#readSchema(store, link, { answer, fence }));
    return this.#schema;
  }

  async #readSchema(
    store: StoredStore,
    link: Link,
    { answer, fence }: { readonly answer: ProbeAnswer; readonly fence: number },
  ): Promise<Pick<KnownSchema, "observation" | "settings">> {
    const { schema } = store.spec;
    const { session } = link;
    if (!answer.schemaExists) return { observation: { exists: false, version: 0 }, settings: undefined };
    try {
      const version = await schemaVersion(session, schema);
      const observation = { exists: true, version };
      if (version !== newestVersion()) return { observation, settings: undefined };
      await claimStoreSettings(session, schema, fence);
      return { observation, settings: await readStoreSettings(session, schema) };
    } catch (error) {
      const observation = await this.#denied(store, link, error);
      if (observation === undefined) throw error;
      return { observation, settings: undefined };
    }
  }

  #known(
    { fingerprint }: Link,
    fence: number,
    read: Pick<KnownSchema, "observation" | "settings">,
  ): KnownSchema {
    return { ...read, fingerprint, fence, readMs: this.#dependencies.clock.steadyMs() };
  }

  /** The schema as one that may not be used; undefined when the error is another one. */
  async #denied(store: StoredStore, link: Link, error: unknown): Promise<SchemaObservation | undefined> {
    if (!isDenial(error, link.source)) return undefined;
    const denial = await describeDenial(link.session, store.spec.schema, error);
    return denial === undefined ? { exists: false, version: 0 } : { exists: true, version: 0, denial };
  }

  #failureOf(store: StoredStore, link: Link): StoreObservation["credentialsFailure"] {
    const denial = this.#denial;
    const holds =
      denial?.scope === denialScope(store, link) && this.#dependencies.clock.steadyMs() < denial.untilMs;
    return holds ? { kind: "PermissionDenied", message: denial.error.message } : undefined;
  }
}

function unreached(
  common: Pick<StoreObservation, "name" | "spec" | "targetVersion" | "approvedVersion">,
  connection: StoreObservation["connection"] | Disconnection,
  pool: Pick<StoreObservation["pool"], "queueCount" | "replicasMax">,
  migration: StoreObservation["migration"],
): StoreLook {
  return {
    observation: {
      ...common,
      connection,
      schema: undefined,
      settings: undefined,
      migration,
      audiences: undefined,
      credentialsFailure: undefined,
      pool: { ...pool, workerMax: WORKER_CONNECTIONS_MAX, serverMax: undefined },
    },
    reached: undefined,
    workersHash: undefined,
  };
}

/** What the failures of migrations are counted for: another try may end otherwise once any of it changed. */
function scopeOf(store: StoredStore, link: Link, schema: SchemaObservation): string {
  const { migrations, provisioning } = store.spec;
  const approved = store.metadata.annotations?.[APPROVE_MIGRATION_ANNOTATION];
  return JSON.stringify([link.fingerprint, migrations, provisioning.createSchema, approved, schema]);
}

function denialScope(store: StoredStore, link: Link): string {
  return JSON.stringify([store.metadata.generation, store.metadata.annotations, link.fingerprint]);
}

/** The connection was lost, or the server went away, between two statements. */
function isOfDatabase(error: unknown, link: Link): boolean {
  const { code } = toStoreError(error, link.source) as { readonly code?: unknown };
  return code === "DATABASE_UNREACHABLE" || code === "DATABASE_READ_ONLY";
}
