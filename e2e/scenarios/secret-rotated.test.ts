/** Credentials that change under load, the user's and those that the operator makes: no run fails, and pods roll once. */
import { setTimeout as delay } from "node:timers/promises";
import { PODS, SECRETS } from "@memflow/operator/kube";
import type { Pod } from "@memflow/operator/kube";
import { findCondition, STORES } from "@memflow/operator/api";
import type { StoreObject } from "@memflow/operator/api";
import { expect } from "vitest";
import {
  installOperator,
  Ledger,
  ObjectRecord,
  startPostgres,
  startStore,
  taskQueue,
  useCluster,
} from "../cluster/testing/index.ts";
import type { ScenarioBench, ScenarioDatabase, ScenarioStore } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

const LIMIT_MS = 300_000;
/** A role that was replaced keeps its login for ten minutes after its last connection. */
const LONG_LIMIT_MS = 1_500_000;
const SECRET = "team-database";
const WORKERS = 2;
const WAVE = { runCount: 6, lineCount: 20 };
const JOB = { stepCount: 40, stepMs: 200 };

scenario(
  "no run fails and no pod rolls twice while the user's Secret and the roles of workers are rotated",
  async (bench) => {
    await installOperator(bench);
    const database = await startPostgres(bench);
    const user = await DatabaseUser.create(bench, database);
    await user.take("team_one", "one");
    const made = await Subject.start(bench, database, "Create");
    const shared = await Subject.start(bench, database, "Shared");
    const stores = await ObjectRecord.start(bench, STORES, {});
    const untilConnected = (status: string): Promise<unknown> =>
      stores.until(`Connected is ${status}`, (present) =>
        present.every((store) => connected(store) === status),
      );
    await Promise.all([made.work(), shared.work()]);

    // A new password, mistyped in the Secret, while the server ends all connections: nobody gets in any more.
    const refused = performance.now();
    await user.change("team_one", { password: "two", inSecret: "tow" });
    await untilConnected("False");
    expect(reasons(stores.present)).toEqual(["Unreachable", "Unreachable"]);
    expect([made.podCount, shared.podCount]).toEqual([WORKERS, WORKERS]);
    await made.work();
    await user.change("team_one", { password: "two", inSecret: "two" });
    await untilConnected("True");
    console.log(
      `figure: password changed, mistyped and corrected ${Math.round(performance.now() - refused)} ms`,
    );
    await shared.untilRolled(1);
    await Promise.all([made.work(), shared.work()]);

    // Another user, who may do what the one before could.
    await user.take("team_two", "three", "team_one");
    await user.retire("team_one");
    await shared.untilRolled(2);
    await untilConnected("True");
    await Promise.all([made.work(), shared.work()]);

    // The roles that the operator made, on demand.
    const before = await made.loginRole();
    const rotated = performance.now();
    await bench.kubectl(["annotate", "store", made.store.name, `memflow.io/rotate-credentials=now`]);
    await made.untilRolled(1);
    console.log(
      `figure: roles of workers rotated, all pods rolled ${Math.round(performance.now() - rotated)} ms`,
    );
    await made.work();
    expect(await made.loginRole()).not.toBe(before);
    expect(await made.sessionsOf(before)).toBe(0);

    for (const subject of [made, shared]) {
      expect(await subject.ledger.wrongResults()).toEqual([]);
      expect(await subject.ledger.findings()).toEqual([]);
    }
    expect(made.podCount).toBe(2 * WORKERS);
    expect(shared.podCount).toBe(3 * WORKERS);
    for (const pod of [...made.pods.present, ...shared.pods.present])
      expect(pod.status?.containerStatuses?.[0]?.restartCount).toBe(0);
    if (bench.isLong) await made.untilEnded(before, bench.signal);
  },
  process.env["MEMFLOW_E2E_LONG"] === "1" ? LONG_LIMIT_MS : LIMIT_MS,
);

function connected(store: StoreObject): string | undefined {
  return findCondition(store.status, "Connected")?.status;
}

function reasons(stores: readonly StoreObject[]): readonly (string | undefined)[] {
  return stores.map((store) => findCondition(store.status, "Connected")?.reason);
}

/** The user in the Secret that both Stores name. */
class DatabaseUser {
  readonly #bench: ScenarioBench;
  readonly #database: ScenarioDatabase;

  private constructor(bench: ScenarioBench, database: ScenarioDatabase) {
    this.#bench = bench;
    this.#database = database;
  }

  static async create(bench: ScenarioBench, database: ScenarioDatabase): Promise<DatabaseUser> {
    // What a user with the least rights has: see docs/stores.md.
    await database.query("create role team; grant create on database memflow to team with grant option");
    return new DatabaseUser(bench, database);
  }

  /** Makes a user and names it in the Secret. */
  async take(user: string, password: string, memberOf = "team"): Promise<void> {
    await this.#database.query(
      `create role ${user} login createrole password '${password}' in role ${memberOf}`,
    );
    await this.#writeSecret(user, password);
    await this.#endSessions();
  }

  /** Gives the user another password. */
  async change(
    user: string,
    { password, inSecret }: { readonly password: string; readonly inSecret: string },
  ): Promise<void> {
    await this.#database.query(`alter role ${user} password '${password}'`);
    await this.#writeSecret(user, inSecret);
    await this.#endSessions();
  }

  async retire(user: string): Promise<void> {
    await this.#database.query(`alter role ${user} nologin`);
    await this.#endSessions();
  }

  async #writeSecret(user: string, password: string): Promise<void> {
    const uri = new URL(this.#database.uri);
    uri.username = user;
    uri.password = password;
    await this.#bench.apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: SECRET },
      stringData: { uri: uri.href },
    });
  }

  /**
   * The operator may not list Secrets, so it reads this one again when the server refuses what it knows, or at its next resync.
   * Its connections end here, as with a fail-over, so that the scenario has not to wait for that.
   */
  async #endSessions(): Promise<void> {
    await this.#database.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'memflow:store'",
    );
  }
}

/** A Store, its queue, and the load on it. */
class Subject {
  readonly store: ScenarioStore;
  readonly ledger: Ledger;
  readonly pods: ObjectRecord<Pod>;
  readonly #bench: ScenarioBench;
  #lineCount = 0;

  private constructor(parts: {
    readonly bench: ScenarioBench;
    readonly store: ScenarioStore;
    readonly ledger: Ledger;
    readonly pods: ObjectRecord<Pod>;
  }) {
    this.#bench = parts.bench;
    this.store = parts.store;
    this.ledger = parts.ledger;
    this.pods = parts.pods;
  }

  static async start(
    bench: ScenarioBench,
    database: ScenarioDatabase,
    roles: "Create" | "Shared",
  ): Promise<Subject> {
    const name = roles.toLowerCase();
    const connection = { secretRef: { name: SECRET }, tls: { mode: "disable" } };
    const store = await startStore(bench, { name, database, spec: { connection, provisioning: { roles } } });
    const ledger = await Ledger.open(store);
    const scaling = { minReplicas: WORKERS, maxReplicas: WORKERS };
    await bench.apply([Ledger.workflow(name), taskQueue(name, store, { scaling })]);
    const labelSelector = `memflow.io/task-queue=${name}`;
    const pods = await ObjectRecord.start(bench, PODS, { labelSelector });
    return new Subject({ bench, store, ledger, pods });
  }

  /** Pods that ever were. */
  get podCount(): number {
    return this.pods.names.size;
  }

  /** Starts runs and waits until some of their steps are done. */
  async work(): Promise<void> {
    await this.ledger.start(this.store.name, WAVE.runCount, JOB);
    this.#lineCount += WAVE.lineCount;
    await this.ledger.untilLines(this.#lineCount, this.#bench.signal);
  }

  /** Waits until all pods have been replaced so many times. */
  async untilRolled(times: number): Promise<void> {
    const isServing = ({ metadata, status }: Pod): boolean =>
      metadata?.deletionTimestamp === undefined && status?.containerStatuses?.[0]?.ready === true;
    await this.pods.until(
      `the workers of "${this.store.name}" were replaced ${times} times`,
      (present) =>
        this.podCount >= WORKERS * (times + 1) && present.length === WORKERS && present.every(isServing),
    );
  }

  /** The role that workers log in with, by the Secret of the Store. */
  async loginRole(): Promise<string> {
    const name = `${this.store.name}-worker`;
    const secret = await this.#bench.client.get(SECRETS, { name, namespace: this.#bench.namespace });
    return new URL(Buffer.from(secret.data?.["uri"] ?? "", "base64").toString()).username;
  }

  async sessionsOf(role: string): Promise<number> {
    const text = "select count(*)::integer as count from pg_stat_activity where usename = $1";
    const { rows } = await this.store.database.query(text, [role]);
    return Number(rows[0]?.["count"]);
  }

  /** Waits until the role may not log in any more. */
  async untilEnded(role: string, signal: AbortSignal): Promise<void> {
    const text = "select rolcanlogin from pg_roles where rolname = $1";
    while ((await this.store.database.query(text, [role])).rows[0]?.["rolcanlogin"] !== false) {
      await delay(1_000, undefined, { signal });
    }
  }
}
