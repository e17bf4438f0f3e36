/**
 * A worker process on one schema: registers, beats, listens, claims, sweeps, and begins a new incarnation when it finds
 * itself dead.
 *
 * Promises that polling alone keeps every run going (notifications are only haste), that an idle worker asks less than one
 * query a second, and that `shutdown` hands everything over.
 */
import os from "node:os";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

import { startHeartbeat } from "../guards/heartbeat/heartbeat.ts";
import type { Heartbeat } from "../guards/heartbeat/heartbeat.ts";
import type { Invoke } from "../replay/run-machine.ts";
import { listenSource } from "../store/connection-source.ts";
import { channelName, quoteIdentifier } from "../store/identifiers.ts";
import { Listener } from "../store/listener.ts";
import { newId } from "../store/new-id.ts";
import { Notifier } from "../store/notifier.ts";
import { outside } from "../store/outside.ts";
import { provision } from "../store/provision.ts";
import { Session } from "../store/session.ts";
import { classifySqlError } from "../store/sql-errors.ts";
import { workerQueries } from "../store/worker-queries.ts";
import type { WorkerQueries } from "../store/worker-queries.ts";
import { activityRegistry } from "./activity-registry.ts";
import type { LoopMarks } from "./activity-executor.ts";
import { Incarnation } from "./incarnation.ts";
import { currentOwner, guardProcess } from "./process-guards.ts";
import { ScheduleWatch } from "./schedule-watch.ts";
import { SUSPECT_AFTER, resolveWorkerOptions } from "./worker-options.ts";
import type { QueueService, ResolvedWorkerOptions, WorkerOptions } from "./worker-options.ts";

/** What a worker is doing, for health checks and metrics. */
export interface WorkerStatus {
  readonly workerId: string;
  readonly state: "running" | "draining" | "stopped";
  readonly ownedRuns: number;
  readonly busyRuns: number;
  readonly runningActivities: number;
  /** Since the database was last heard of. */
  readonly silentMs: number;
}

const RELEASE_MAX = 500;
const PRUNE_MAX = 500;
const HAND_OVER_MAX = 1_000;
/** Tries after a lost connection, and the pause between two. */
const HAND_OVER_TRIES = 3;
const HAND_OVER_AGAIN_MS = 100;
/** Between two tries to register a new incarnation while the database is away. */
const BEGIN_AGAIN_MS = 500;
const BLAME_NOBODY: LoopMarks = { enter: () => undefined, leave: () => undefined };

export class EngineWorker {
  readonly #options: ResolvedWorkerOptions;
  readonly #queries: WorkerQueries;
  readonly #services = new Map<string, QueueService>();
  readonly #control: Session;
  readonly #notifier: Notifier;
  readonly #listener: Listener | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #unsubscribe: () => void;
  readonly #schedules: ScheduleWatch;
  #incarnation: Incarnation;
  #heartbeat: Heartbeat | undefined;
  #state: WorkerStatus["state"] = "running";
  #offsetMs = 0;
  #heardMs: number = performance.now();
  /** What this worker serves, as it was said last. */
  #announced = "";
  #announcing: Promise<void> = Promise.resolve();
  #rebirth: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #warnedNames = "";

  /**
   * Provisions the schema where needed, registers and begins to serve.
   *
   * @throws {ConnectionError} When the database can't be used; {SchemaError} when its schema doesn't fit this version.
   */
  static async start(options: WorkerOptions): Promise<EngineWorker> {
    await guardProcess();
    const source = await provision(options.source, options.schema);
    const worker = outside(() => new EngineWorker(resolveWorkerOptions({ ...options, source })));
    try {
      await outside(() => worker.#begin());
    } catch (error) {
      // Nothing of it may stay open: its connections would keep the process.
      worker.crash();
      throw error;
    }
    return worker;
  }

  private constructor(options: ResolvedWorkerOptions) {
    this.#options = options;
    this.#queries = workerQueries(options.schema);
    this.#control = new Session({ source: options.source, purpose: "control" });
    this.#notifier = new Notifier(
      options.shares.notifiesAlone ? { source: options.source } : { session: this.#control },
    );
    const listening = listenSource(options.source);
    this.#listener =
      listening === undefined
        ? undefined
        : new Listener({
            source: listening,
            onNotification: (channel, payload) => this.#notified(channel, payload),
            onReconnect: () => this.#lookAtEverything(),
          });
    this.#schedules = new ScheduleWatch({
      session: this.#control,
      schema: options.schema,
      notifier: this.#notifier,
      log: options.log,
      look: () => void this.#incarnation.look(),
    });
    this.#incarnation = this.#newIncarnation();
    this.#unsubscribe = activityRegistry.onChange(() => this.#announceSoon());
  }

  get status(): WorkerStatus {
    return {
      workerId: this.#incarnation.workerId,
      state: this.#state,
      ownedRuns: this.#incarnation.ownedCount,
      busyRuns: this.#incarnation.busyCount,
      runningActivities: this.#incarnation.runningAttempts,
      silentMs: performance.now() - this.#heardMs,
    };
  }

  /** Serves workflows of a queue, besides those it serves already. */
  async serve(taskQueue: string, workflows: ReadonlyMap<string, Invoke>): Promise<void> {
    const known = this.#services.get(taskQueue)?.workflows ?? new Map<string, Invoke>();
    this.#services.set(taskQueue, { taskQueue, workflows: new Map([...known, ...workflows]) });
    await outside(async () => {
      await this.#listener?.listen(this.#channel("queue", taskQueue));
      await this.#announce();
      // Runs that were parked because their code did not match get a try with the code that registers now.
      await this.#control.query({
        ...this.#queries.resumeRuns,
        values: [this.#incarnation.workerId, this.#options.buildId ?? null, taskQueue, [...workflows.keys()]],
      });
      void this.#incarnation.look();
    });
  }

  /**
   * Stops: claims nothing more, hands its runs over at once, lets running attempts end for `graceMs` and releases the
   * others.
   */
  async shutdown(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#stopping ??= outside(() => this.#shutDown(options.graceMs ?? 10_000));
    await this.#stopping;
  }

  /** Stops at once, as a crash would: nothing is handed over, nothing written. For tests. */
  crash(): void {
    this.#state = "stopped";
    this.#clearTimers();
    this.#schedules.stop();
    this.#incarnation.abandon();
    this.#control.destroy();
    void this.#heartbeat?.stop();
    void this.#listener?.close();
    void this.#notifier.close();
    this.#unsubscribe();
  }

  async #begin(): Promise<void> {
    await this.#register();
    await this.#listener?.listen(this.#channel("schedules", ""));
    this.#every(this.#options.pollMs, () => this.#poll());
    this.#every(this.#options.sweepMs, () => this.#sweep());
    this.#every(this.#options.sweepMs * 2, () => this.#incarnation.sweep());
    this.#every(this.#options.pruneMs, () => this.#prune());
    this.#every(this.#options.sweepMs * 6, () => this.#warnOfStranded());
  }

  #newIncarnation(): Incarnation {
    return new Incarnation({
      workerId: newId(),
      options: this.#options,
      queries: this.#queries,
      notifier: this.#notifier,
      marks: {
        enter: (kind, id, position) => (this.#heartbeat ?? BLAME_NOBODY).enter(kind, id, position),
        leave: () => (this.#heartbeat ?? BLAME_NOBODY).leave(),
      },
      activities: activityRegistry,
      services: this.#services,
      schedules: this.#schedules,
      nowMs: () => this.#nowMs(),
      fatal: (error) => this.#fail(error),
    });
  }

  /** The database's clock, as far as the last heartbeat told; this machine's may jump. */
  #nowMs(): number {
    return performance.timeOrigin + performance.now() + this.#offsetMs;
  }

  #hear(databaseMs: number): void {
    this.#offsetMs = databaseMs - (performance.timeOrigin + performance.now());
    this.#heardMs = performance.now();
  }

  async #register(): Promise<void> {
    const { workerId } = this.#incarnation;
    await this.#announce();
    await this.#listener?.listen(this.#channel("worker", workerId));
    if (this.#options.heartbeat === "none") {
      this.#every(this.#options.beatMs, () => this.#beat());
      return;
    }
    const schema = quoteIdentifier(this.#options.schema);
    this.#heartbeat = startHeartbeat({
      connection: this.#options.source.config,
      workerId,
      beatMs: this.#options.beatMs,
      killMs: this.#options.blockedLoopKillMs,
      beatSql: `select * from ${schema}.beat_worker($1, $2)`,
      blameSql: `select ${schema}.blame_run($1, $2, $3, $4)`,
      onBeat: ({ alive, offsetMs }) => {
        this.#offsetMs = offsetMs;
        this.#heardMs = performance.now();
        if (!alive) this.#foundDead(workerId);
      },
      whose: () => currentOwner(),
      onMiss: (miss) => this.#options.log("debug", "a heartbeat was missed", { ...miss }),
      onBlocked: (blocked) => this.#options.log("warn", "the main loop is blocked", { ...blocked }),
      onFailure: (error) => this.#fail(error),
    });
  }

  async #beat(): Promise<void> {
    const { workerId } = this.#incarnation;
    const schema = quoteIdentifier(this.#options.schema);
    const { rows } = await this.#control.query<{ alive: boolean; database_ms: number }>({
      name: "memflow_beat",
      text: `select * from ${schema}.beat_worker($1, $2)`,
      values: [workerId, Math.round(performance.now())],
    });
    const [row] = rows;
    if (row === undefined) return;
    this.#hear(row.database_ms);
    if (!row.alive) this.#foundDead(workerId);
  }

  #foundDead(workerId: string): void {
    if (this.#state !== "running" || workerId !== this.#incarnation.workerId || this.#rebirth !== undefined)
      return;
    this.#options.log("warn", "this worker was declared dead and begins anew", { workerId });
    this.#incarnation.abandon();
    void this.#heartbeat?.stop();
    this.#heartbeat = undefined;
    this.#rebirth = this.#beginAnew(workerId).finally(() => {
      this.#rebirth = undefined;
    });
  }

  async #beginAnew(oldWorkerId: string): Promise<void> {
    this.#incarnation = this.#newIncarnation();
    await this.#listener?.unlisten(this.#channel("worker", oldWorkerId));
    while (this.#state === "running") {
      try {
        await this.#register();
        this.#lookAtEverything();
        return;
      } catch (error) {
        if (classifySqlError(error) !== "transient") this.#fail(error);
        else this.#options.log("warn", "beginning anew failed and is tried again", { error: String(error) });
        await delay(BEGIN_AGAIN_MS);
      }
    }
  }

  /** Says what this worker serves. */
  async #announce(): Promise<void> {
    const serves = this.#serves();
    const { rows } = await this.#control.query<{ database_ms: number }>({
      ...this.#queries.registerWorker,
      values: [
        this.#incarnation.workerId,
        serves,
        this.#options.buildId ?? null,
        os.hostname(),
        this.#options.deadAfterMs,
      ],
    });
    this.#announced = serves;
    this.#hear(rows[0]?.database_ms ?? Date.now());
  }

  #serves(): string {
    const queues = [...this.#services.values()].map(({ taskQueue, workflows }) => ({
      taskQueue,
      workflows: [...workflows.keys()],
      activities: activityRegistry.names(taskQueue),
    }));
    return JSON.stringify({ processId: process.pid, queues });
  }

  /** Activities may become known while workflows run; they are announced soon, not each by itself. */
  #announceSoon(): void {
    if (this.#state !== "running") return;
    outside(() => {
      this.#announcing = this.#announceAfter(this.#announcing);
    });
  }

  async #announceAfter(previous: Promise<void>): Promise<void> {
    await previous;
    // Most that becomes known is for queues of others, or was announced with what came before it.
    if (this.#state !== "running" || this.#announced === this.#serves()) return;
    await this.#quietly("announcing activities", this.#announce());
    await this.#poll();
  }

  #notified(channel: string, payload: string): void {
    if (this.#state !== "running") return;
    if (channel === this.#channel("worker", this.#incarnation.workerId)) {
      this.#incarnation.wake(payload.split(","));
      return;
    }
    if (channel === this.#channel("schedules", "")) {
      this.#schedules.notified(payload);
      return;
    }
    for (const taskQueue of this.#services.keys()) {
      if (channel !== this.#channel("queue", taskQueue)) continue;
      const told = payload.split(",");
      if (told.includes("later")) void this.#incarnation.look();
      if (told.length > 1 || told[0] !== "later")
        this.#incarnation.pump(taskQueue, told.includes("activities"));
    }
  }

  #lookAtEverything(): void {
    if (this.#state !== "running") return;
    void this.#incarnation.look();
    void this.#quietly("sweeping", this.#incarnation.sweep());
  }

  async #poll(): Promise<void> {
    await this.#incarnation.look();
  }

  /** Looks after dead workers, suspects, and runs that nobody serves. */
  async #sweep(): Promise<void> {
    const { rows } = await this.#control.query<{ holding: boolean; suspects: boolean }>({
      ...this.#queries.buryWorkers,
      values: [this.#incarnation.workerId, SUSPECT_AFTER],
    });
    if (rows[0]?.holding === true) await this.#releaseDead();
    this.#incarnation.expectSuspects(rows[0]?.suspects === true);
  }

  async #releaseDead(): Promise<void> {
    for (;;) {
      const { rows } = await this.#control.query<{
        task_queue: string;
        owner: string | null;
        run_id: string | null;
        released: number;
      }>({
        ...this.#queries.releaseDead,
        values: [RELEASE_MAX],
      });
      for (const row of rows) {
        if (row.owner !== null && row.run_id !== null)
          this.#notifier.notify(this.#channel("worker", row.owner), row.run_id);
        else this.#tellQueue(row.task_queue);
      }
      if (rows.reduce((sum, row) => sum + row.released, 0) < RELEASE_MAX) return;
    }
  }

  async #warnOfStranded(): Promise<void> {
    const { rows } = await this.#control.query<{ name: string; kind: string; task_queue: string }>({
      ...this.#queries.strandedNames,
      values: [[...this.#services.keys()]],
    });
    const text = rows.map((row) => `${row.kind} "${row.name}" on queue "${row.task_queue}"`).join(", ");
    if (text !== "" && text !== this.#warnedNames) {
      this.#options.log(
        "warn",
        `work waits for ${text}, which no worker that is alive has; register it or correct the name`,
      );
    }
    this.#warnedNames = text;
  }

  async #prune(): Promise<void> {
    for (;;) {
      const { rows } = await this.#control.query<{ more: boolean }>({
        ...this.#queries.prune,
        values: [PRUNE_MAX],
      });
      if (rows[0]?.more !== true || this.#state !== "running") return;
    }
  }

  async #shutDown(graceMs: number): Promise<void> {
    this.#state = "draining";
    this.#clearTimers();
    this.#schedules.stop();
    this.#unsubscribe();
    await this.#rebirth;
    await this.#incarnation.drain(graceMs);
    await this.#quietly("handing over", this.#handOver());
    this.#state = "stopped";
    await this.#heartbeat?.stop();
    await Promise.all([this.#incarnation.close(), this.#listener?.close(), this.#notifier.close()]);
    await this.#control.close();
  }

  /** Tries again when the connection is lost: what was not handed over would wait until this worker is found dead. */
  async #handOver(): Promise<void> {
    for (let tryNo = 1; ; tryNo += 1) {
      try {
        await this.#handOverOnce();
        return;
      } catch (error) {
        if (tryNo === HAND_OVER_TRIES || classifySqlError(error) !== "transient") throw error;
        await delay(HAND_OVER_AGAIN_MS);
      }
    }
  }

  async #handOverOnce(): Promise<void> {
    const { workerId } = this.#incarnation;
    for (;;) {
      const { rows } = await this.#control.query<{ task_queue: string; released: number }>({
        ...this.#queries.handOver,
        values: [workerId, HAND_OVER_MAX],
      });
      for (const row of rows) this.#tellQueue(row.task_queue);
      if (rows.reduce((sum, row) => sum + row.released, 0) < HAND_OVER_MAX) break;
    }
    for (const taskQueue of this.#services.keys()) this.#tellQueue(taskQueue);
    await this.#control.query({ ...this.#queries.retireWorker, values: [workerId] });
  }

  #fail(error: unknown): void {
    if (this.#state !== "running") return;
    this.#options.log("error", "the worker stops: it can no longer write", { error: String(error) });
    this.crash();
    this.#options.onFatal?.(error);
  }

  #channel(kind: "queue" | "worker" | "schedules", name: string): string {
    return channelName(this.#options.schema, kind, name);
  }

  #tellQueue(taskQueue: string): void {
    const channel = this.#channel("queue", taskQueue);
    for (const what of ["runs", "activities", "later"]) this.#notifier.notify(channel, what);
  }

  #clearTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Repeats `work` with jitter, one at a time; a failure is logged and the next round tries again. */
  #every(periodMs: number, work: () => Promise<void>): void {
    const arm = (): void => {
      if (this.#state !== "running") return;
      const timer = setTimeout(
        () => {
          this.#timers.delete(timer);
          void this.#quietly("a periodic task", work()).finally(arm);
        },
        periodMs * (0.8 + 0.4 * Math.random()),
      );
      timer.unref();
      this.#timers.add(timer);
    };
    arm();
  }

  async #quietly(what: string, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (this.#state === "running")
        this.#options.log("warn", `${what} failed and is tried again`, { error: String(error) });
    }
  }
}
