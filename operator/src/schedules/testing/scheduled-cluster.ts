/**
 * The controller at work on a mock API server and a real Postgres. Its looks at the Store come when a test turns the clock;
 * the times of schedules are the database's.
 */
import { API_VERSION } from "@memflow/crds";
import type { ScheduleStatus } from "@memflow/crds";
import { Session } from "@memflow/engine/provision";
import type { ConnectionSource } from "@memflow/engine/provision";
import { expect, onTestFinished } from "vitest";
import { SCHEDULES, STORES, TASK_QUEUES, WORKFLOWS } from "../../api/index.ts";
import type { ConnectedStore, CustomObject, ScheduleObject } from "../../api/index.ts";
import { listFollowed, makeFollowed } from "../../followed.ts";
import { KubeClient, WorkQueue } from "../../kube/index.ts";
import type { Happening, ResourceType } from "../../kube/index.ts";
import { LoadObserver } from "../../scaling/observe.ts";
import { recordLog } from "../../testing/log-recorder.ts";
import type { LogRecorder } from "../../testing/log-recorder.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { MockApiServer } from "../../testing/mock-api/mock-api-server.ts";
import { startOperatorCluster } from "../../testing/operator-cluster.ts";
import { makeSchedulesController } from "../schedules-controller.ts";

const REAL_BACKOFF = { firstMs: 1, maxMs: 5 };
const LOOK_MS = 10_000;

type Spec = Readonly<Record<string, unknown>>;
type Sql = <Row extends object>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

/** A schema of the test's own. */
export interface ScratchSchema {
  readonly place: { readonly source: ConnectionSource; readonly schema: string };
  readonly sql: Sql;
}

/** @see startScheduledCluster */
export interface ScheduledCluster {
  readonly api: MockApiServer;
  readonly clock: ManualClock;
  readonly events: Happening[];
  readonly log: LogRecorder;
  /** Statements in the Store. */
  readonly sql: Sql;
  /** A process begins to lead, with nothing remembered; it is the token's leader. */
  lead(fencingToken?: number): void;
  /** The process ends. */
  kill(): Promise<void>;
  /** The Store is connected, or no longer is. */
  connect(isConnected: boolean): void;
  create(type: ResourceType<CustomObject>, name: string, spec: Spec): void;
  /** A Schedule of Workflow `report`. */
  addSchedule(spec?: Spec, annotations?: Readonly<Record<string, string>>): ScheduleObject;
  /** Changes the Schedule as a user does. */
  change(change: { readonly spec?: Spec; readonly annotations?: Readonly<Record<string, string>> }): void;
  remove(type: ResourceType<CustomObject>, name: string): void;
  schedule(): ScheduleObject | undefined;
  /** Waits for a status; the controller looks at the Store meanwhile. */
  until(holds: (status: ScheduleStatus) => boolean): Promise<ScheduleStatus>;
  /** `True Scheduled`; empty while nothing is claimed. */
  condition(type: string): string;
}

/** Starts it, with a Store, a TaskQueue `work` and a Workflow `report`. */
export async function startScheduledCluster(scratch: ScratchSchema): Promise<ScheduledCluster> {
  const api = await startOperatorCluster();
  const client = new KubeClient({ kubeConfig: api.kubeConfig(), backoff: REAL_BACKOFF });
  const log = recordLog();
  const clock = new ManualClock();
  const events: Happening[] = [];
  const followed = await makeFollowed({
    client,
    namespaces: undefined,
    log: log.log,
    reflector: { backoff: REAL_BACKOFF },
  });
  const all = listFollowed(followed);
  const create: ScheduledCluster["create"] = (type, name, spec) =>
    void api.cluster.create(type, {
      apiVersion: API_VERSION,
      kind: type.kind,
      metadata: { name, namespace: "default" },
      spec,
    });
  create(STORES, "main", { connection: { secretRef: { name: "db" } } });
  create(TASK_QUEUES, "work", {
    storeRef: { name: "main" },
    workers: { source: { image: { ref: "example.com/workers:1" } } },
  });
  create(WORKFLOWS, "report", { taskQueueRef: { name: "work" } });
  for (const one of all) one.start();
  await Promise.all(all.map((one) => one.whenSynced()));

  const session = new Session({ source: scratch.place.source, purpose: "test" });
  const observer = new LoadObserver(scratch.place.source, scratch.place.schema);
  const store: ConnectedStore = {
    key: "default/main",
    uid: "uid of the store",
    ...scratch.place,
    session,
    observer,
    onWork: () => () => undefined,
  };
  let isConnected = true;
  const storeHandlers = new Set<(storeKey: string) => void>();
  let running: { readonly queue: WorkQueue; end(): void } | undefined;

  const kill = async (): Promise<void> => {
    const ending = running;
    running = undefined;
    ending?.end();
    await ending?.queue.stop(0);
  };
  /** Who leads next knows what was written until now. */
  const seen = async (): Promise<void> => {
    const versionOf = (object: ScheduleObject | undefined): string | undefined =>
      object?.metadata?.resourceVersion;
    await expect
      .poll(() => versionOf(followed.schedules.store.get("default/nightly")), { timeout: 20_000 })
      .toBe(versionOf(schedule()));
  };
  const schedule = (): ScheduleObject | undefined =>
    api.cluster.find(SCHEDULES, { namespace: "default", name: "nightly" });
  onTestFinished(async () => {
    await kill();
    await Promise.all(all.map((one) => one.stop()));
    await client.close();
    await api.close();
    await Promise.all([session.close(), observer.close()]);
  });

  const lead = (fencingToken = 1): void => {
    const controller = makeSchedulesController({
      followed,
      stores: {
        find: (key) => (isConnected && key === store.key ? store : undefined),
        onChange: (handler) => {
          storeHandlers.add(handler);
          return () => void storeHandlers.delete(handler);
        },
      },
      events: { record: (happening) => void events.push(happening) },
      clock,
      log: log.log,
      resyncMs: 300_000,
      crashPoint: () => undefined,
    });
    const queue = new WorkQueue({
      name: controller.name,
      concurrency: 4,
      clock,
      backoff: { firstMs: 200, maxMs: 60_000 },
      log: log.log,
      process: (key, signal) =>
        controller.reconcile(key, { client, signal, fencingToken, assertCurrent: () => undefined }),
    });
    const ends = controller.sources.map((source) => source.connect((key) => queue.add(key)));
    queue.start();
    running = { queue, end: () => ends.forEach((end) => end()) };
  };

  return {
    api,
    clock,
    events,
    log,
    sql: scratch.sql,
    lead,
    kill: async () => {
      await kill();
      await seen();
    },
    connect: (connected) => {
      isConnected = connected;
      for (const handler of storeHandlers) handler(store.key);
    },
    create,
    addSchedule: (spec = {}, annotations = {}) =>
      api.cluster.create<ScheduleObject>(SCHEDULES, {
        apiVersion: API_VERSION,
        kind: "Schedule",
        metadata: { name: "nightly", namespace: "default", annotations: { ...annotations } },
        spec: { workflowRef: { name: "report" }, when: { cron: ["0 3 * * *"] }, ...spec },
      }),
    change: ({ spec, annotations }) => {
      const before = schedule();
      if (before === undefined) throw new Error("there is no Schedule");
      const next: ScheduleObject = {
        ...before,
        metadata: { ...before.metadata, annotations: { ...before.metadata?.annotations, ...annotations } },
        spec: { ...(before.spec as object), ...spec },
      };
      api.cluster.replace(SCHEDULES, next);
    },
    remove: (type, name) => void api.cluster.delete(type, { namespace: "default", name }),
    schedule,
    until: async (holds) => {
      await expect
        .poll(
          () => {
            const status = schedule()?.status;
            if (status !== undefined && holds(status)) return true;
            clock.advance(LOOK_MS);
            return false;
          },
          { timeout: 20_000, interval: 20 },
        )
        .toBe(true);
      return schedule()?.status ?? { conditions: [] };
    },
    condition: (type) => {
      const found = schedule()?.status?.conditions?.find((condition) => condition.type === type);
      return found === undefined ? "" : `${found.status} ${found.reason}`;
    },
  };
}
