/**
 * One life of a worker process: the runs it owns, from its registration to its death or hand-over.
 *
 * Promises that what it owns is claimed under its id and never after its death; that a message or wake-up which is lost is
 * found by a sweep; and that everything it holds can be thrown away at any moment. A worker that finds itself dead drops
 * its incarnation and begins another. The work is that of its parts: each has one duty, and they know one another only
 * as they are wired here.
 */
import { setTimeout as delay } from "node:timers/promises";

import { PLANNER_SETTINGS } from "../store/planner-settings.ts";
import { Session } from "../store/session.ts";
import { ActivityExecutor } from "./activity-executor.ts";
import { ActivitySettler } from "./activity-settler.ts";
import { Announcer } from "./announcer.ts";
import { Effects } from "./effects.ts";
import { Claims } from "./claims.ts";
import { DueTimer } from "./due-timer.ts";
import { EntityFeeder } from "./entity-feeder.ts";
import { FlushLane } from "./flush-lane.ts";
import { FlushOutcomes } from "./flush-outcomes.ts";
import { InboxReader } from "./inbox-reader.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import { LeasedAttempts } from "./leased-attempts.ts";
import { Life } from "./life.ts";
import { Lookout } from "./lookout.ts";
import type { OwnedRun } from "./owned-run.ts";
import { findProblem } from "./problem-finder.ts";
import { RunDriver } from "./run-driver.ts";
import { RunIntake, logParked } from "./run-intake.ts";
import { RunLoader } from "./run-loader.ts";
import { RunTable } from "./run-table.ts";

/** Runs that a sweep asks about at once. */
const SWEEP_RUNS_MAX = 5_000;
const ATTEMPT_SWEEP_MS = 50;
/** Between two tries to read what was claimed. */
const READ_AGAIN_MS = 200;

type Host = ConstructorParameters<typeof RunDriver>[0] &
  ConstructorParameters<typeof FlushLane>[0]["host"] &
  Omit<ConstructorParameters<typeof ActivitySettler>[0]["host"], "refused">;

export class Incarnation {
  readonly workerId: string;
  readonly #context: IncarnationContext;
  readonly #life = new Life();
  readonly #runs: RunTable;
  readonly #lanes: FlushLane[];
  readonly #sessions: Session[];
  readonly #loader: RunLoader;
  readonly #driver: RunDriver;
  readonly #executor: ActivityExecutor;
  readonly #settler: ActivitySettler;
  readonly #leases: LeasedAttempts;
  readonly #claims: Claims;
  readonly #lookout: Lookout;
  readonly #inbox: InboxReader;
  readonly #feeder: EntityFeeder;
  readonly #announcer: Announcer;
  readonly #outcomes: FlushOutcomes;
  readonly #effects: Effects;
  readonly #timer: DueTimer;
  readonly #attemptSweep: NodeJS.Timeout;
  #flushNumber = 0;
  #onEmpty: (() => void) | undefined;

  constructor(context: IncarnationContext) {
    this.#context = context;
    this.workerId = context.workerId;
    const { activities, marks, options, queries, workerId } = context;
    const life = this.#life;
    const session = (purpose: string, settings: Record<string, string> = {}): Session =>
      new Session({ source: options.source, purpose, settings });
    const { flushing, lanes, settlesAlone } = options.shares;
    const writes = flushing === 0 || !settlesAlone;
    // What writes waits for the disk, whoever it shares with; a claim alone need not.
    const reader = session("claim", {
      ...PLANNER_SETTINGS,
      ...(writes ? {} : { synchronous_commit: "off" }),
    });
    const settling = settlesAlone ? session("settle") : reader;
    const laneSessions = Array.from({ length: lanes }, () => (flushing === 0 ? reader : session("flush")));
    this.#sessions = [...new Set([reader, settling, ...laneSessions])];
    const loader = new RunLoader({
      session: reader,
      queries,
      workerId,
      buildId: options.buildId,
      namespace: options.schema,
      readAgain: (error) => this.#readAgain(error),
    });
    this.#loader = loader;
    const executor = new ActivityExecutor({
      workerId,
      slots: options.maxConcurrentActivities,
      marks,
      onFree: () => this.#claims.pumpWaiting(),
      onLate: ({ activityName, runId, attempt }, error) =>
        options.log("error", "code of an activity attempt failed after its attempt had ended", {
          activityName,
          runId,
          attempt,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
    });
    this.#executor = executor;
    const host = this.#host();
    const driver = new RunDriver(host);
    this.#driver = driver;
    const runs = new RunTable((run, reason) => driver.drop(run, reason));
    this.#runs = runs;
    this.#settler = new ActivitySettler({
      host: { ...host, refused: (outcome, error) => this.#leases.refused(outcome, error) },
      session: settling,
      queries,
    });
    this.#leases = new LeasedAttempts({
      activities,
      executor,
      settler: this.#settler,
      lookAgain: () => this.#claims.pumpAll(true),
    });
    this.#lanes = laneSessions.map((laneSession) => new FlushLane({ host, session: laneSession, queries }));
    this.#announcer = new Announcer(context, this);
    this.#effects = new Effects(context);
    this.#feeder = new EntityFeeder({ context, life, loader, driver });
    this.#inbox = new InboxReader({
      context,
      life,
      loader,
      runs,
      record: (run, pending) => driver.record(run, pending),
      mark: host.mark,
    });
    const read = (run: OwnedRun): void => this.#inbox.read(run);
    const intake = new RunIntake({ context, life, runs, driver, host: { mark: host.mark, read } });
    const leases = this.#leases;
    const makeRoom = (): void => this.#evict();
    this.#claims = new Claims({ context, life, loader, runs, intake, leases, executor, makeRoom });
    this.#lookout = new Lookout({
      context,
      life,
      loader,
      found: ({ taskQueue, kind }) => {
        if (kind === "schedules") context.schedules.due();
        else this.#claims.pump(taskQueue, kind === "activities");
      },
    });
    const distrust = (): void => this.#claims.distrust();
    const announcer = this.#announcer;
    const marking = { mark: host.mark, distrust };
    this.#outcomes = new FlushOutcomes({
      context,
      life,
      runs,
      driver,
      announcer,
      effects: this.#effects,
      host: marking,
    });
    this.#timer = new DueTimer({
      nowMs: () => context.nowMs(),
      nextDueMs: () => (life.alive ? driver.nextDueMs : undefined),
      fire: () => {
        if (life.alive) driver.fire(context.nowMs());
      },
    });
    this.#attemptSweep = setInterval(() => driver.sweepAttempts(context.nowMs()), ATTEMPT_SWEEP_MS);
    this.#attemptSweep.unref();
  }

  get ownedCount(): number {
    return this.#runs.size;
  }

  get busyCount(): number {
    return this.#runs.busyCount;
  }

  get runningAttempts(): number {
    return this.#executor.runningCount;
  }

  /** Looks for ready work of a queue, now: runs, and queued attempts where there may be some. */
  pump(taskQueue: string, mayHaveAttempts: boolean): void {
    this.#claims.pump(taskQueue, mayHaveAttempts);
  }

  /** Looks whether there is ready work on any queue, and when there will be. */
  async look(): Promise<void> {
    this.#claims.recover();
    await this.#lookout.look();
  }

  /** Runs that others died on are ready. */
  expectSuspects(expected: boolean): void {
    this.#claims.expectSuspects(expected);
  }

  /** Reads the inboxes of these runs, where they are owned here. */
  wake(runIds: Iterable<string>): void {
    for (const id of runIds) {
      const run = this.#runs.get(id);
      if (run === undefined) this.#claims.wakeEarly(id);
      else this.#inbox.read(run);
    }
  }

  /** Finds what a lost notification hid: messages, and runs that are no longer owned. */
  async sweep(): Promise<void> {
    const runs = [...this.#runs.all()];
    for (let start = 0; start < runs.length && this.#life.alive; start += SWEEP_RUNS_MAX) {
      const some = runs.slice(start, start + SWEEP_RUNS_MAX);
      this.wake(some.filter((run) => run.unread).map(({ id }) => id));
      this.wake(await this.#loader.withMessages(some.map(({ id }) => id)));
      for (const id of await this.#loader.lost(some)) this.#runs.lose(id);
    }
    this.#evict();
  }

  /** Hands everything over: parked runs at once, the others when their attempts have ended or the time is over. */
  async drain(graceMs: number): Promise<void> {
    this.#life.drain();
    this.#executor.close();
    for (const run of this.#runs.all()) this.#giveUp(run);
    const done = Promise.all([this.#settled(), this.#giveBackClaims()]);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([done, late]);
    clearTimeout(timer);
    this.#executor.stop();
    this.#runs.dropAll("the worker stops");
    await Promise.race([
      Promise.all([...this.#lanes.map((lane) => lane.idle()), this.#settler.idle()]),
      late,
    ]);
    this.#life.end();
  }

  /** Stops at once and forgets everything, as a crash would. */
  abandon(): void {
    this.#life.end();
    this.#executor.stop();
    this.#runs.dropAll("the worker lost its ownership");
    this.#runs.clear();
    this.#clearTimers();
    for (const session of this.#sessions) session.destroy();
  }

  /** Closes the sessions of a drained incarnation. */
  async close(): Promise<void> {
    this.#life.end();
    this.#clearTimers();
    await Promise.all(this.#sessions.map((session) => session.close()));
  }

  #clearTimers(): void {
    this.#timer.stop();
    this.#lookout.stop();
    this.#claims.stop();
    clearInterval(this.#attemptSweep);
  }

  /** Runs whose claim was under way when the drain began were not taken in: others may have them at once. */
  async #giveBackClaims(): Promise<void> {
    const { log } = this.#context.options;
    try {
      if (!(await this.#claims.giveBack())) return;
      for (const taskQueue of this.#context.services.keys()) this.#announcer.announce(taskQueue, "runs");
    } catch (error) {
      if (!this.#life.alive) return;
      log("warn", "giving back a claim failed; the hand-over does it", { error: String(error) });
    }
  }

  /** Settles when nothing is owned and no attempt runs. */
  async #settled(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      this.#checkEmpty();
    });
    await this.#settler.idle();
  }

  #checkEmpty(): void {
    if (this.#onEmpty !== undefined && this.#runs.size === 0 && this.#leases.size === 0) this.#onEmpty();
  }

  #giveUp(run: OwnedRun): void {
    run.releasing = true;
    this.#mark(run);
  }

  /** Gives up parked runs that were used longest ago, when there are too many. */
  #evict(): void {
    for (const run of this.#runs.surplus(this.#context.options.maxCachedRuns)) this.#giveUp(run);
  }

  /** What is claimed is read for as long as the database may come back. */
  async #readAgain(error: unknown): Promise<boolean> {
    if (!this.#life.working) return false;
    this.#context.options.log("warn", "reading the history of runs failed and is tried again", {
      error: String(error),
    });
    await delay(READ_AGAIN_MS);
    return this.#life.working;
  }

  #mark(run: OwnedRun): void {
    this.#lanes[run.lane]?.mark(run);
  }

  #host(): Host {
    const context = this.#context;
    return {
      workerId: this.workerId,
      buildId: this.#context.options.buildId,
      executor: this.#executor,
      marks: context.marks,
      nowMs: () => context.nowMs(),
      alive: () => this.#life.alive,
      nextFlushNumber: () => (this.#flushNumber += 1),
      activity: (taskQueue, name) => context.activities.find(taskQueue, name),
      mark: (run) => this.#mark(run),
      feed: (run, span) => this.#feeder.feed(run, span),
      diagnose: (run, error) => {
        const parts = { context, life: this.#life, loader: this.#loader, driver: this.#driver };
        void findProblem(parts, run, error);
      },
      repeat: (run, command, event) => this.#effects.perform(run, command, event),
      parked: (run, error) => logParked(context, run, error),
      timersChanged: () => this.#timer.arm(),
      committed: (contributions, reply) => {
        this.#outcomes.committed(contributions, reply);
        this.#checkEmpty();
        this.#claims.committed();
      },
      behind: (runs) => {
        for (const run of runs) {
          this.#inbox.read(run);
          this.#mark(run);
        }
      },
      refused: (contribution, error) => this.#outcomes.refused(contribution, error),
      failed: (error) => context.fatal(error),
      retried: (error) => context.options.log("warn", "a flush is tried again", { error: String(error) }),
      settled: (outcomes, wakes) => {
        this.#announcer.wakeAll(wakes);
        this.#leases.settled(outcomes);
        this.#checkEmpty();
      },
    };
  }
}
