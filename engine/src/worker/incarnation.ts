/**
 * One life of a worker process: the runs it owns, from its registration to its death or hand-over.
 *
 * Promises that what it owns is claimed under its id and never after its death; that a message or wake-up which is lost is
 * found by a sweep; and that everything it holds can be thrown away at any moment. A worker that finds itself dead drops
 * its incarnation and begins another.
 */
import { setTimeout as delay } from "node:timers/promises";

import { StuckError } from "../core/errors.ts";
import { EVENT_KIND, encodeSignalPayload } from "../core/events.ts";
import type { HistoryEvent } from "../core/events.ts";
import { encodeFailure } from "../core/failure.ts";
import { isRetryable, normalizeRetryPolicy, retryDelayMs } from "../core/retry-policy.ts";
import type { RetryPolicy } from "../core/retry-policy.ts";
import { crashPoint } from "../crash-points.ts";
import { diagnose } from "../replay/diagnosis.ts";
import type { PlacelessError } from "../replay/diagnosis.ts";
import { RunMachine } from "../replay/run-machine.ts";
import { Shadow } from "../replay/shadow.ts";
import { channelName } from "../store/identifiers.ts";
import type { Notifier } from "../store/notifier.ts";
import { PLANNER_SETTINGS } from "../store/planner-settings.ts";
import { Session } from "../store/session.ts";
import { classifySqlError } from "../store/sql-errors.ts";
import type { WorkerQueries } from "../store/worker-queries.ts";
import { ActivityExecutor } from "./activity-executor.ts";
import type { LoopMarks } from "./activity-executor.ts";
import { ActivitySettler } from "./activity-settler.ts";
import type { LeasedOutcome } from "./activity-settler.ts";
import { contributionFailure } from "./contribution-failure.ts";
import { FlushLane } from "./flush-lane.ts";
import type { FlushReply, Wake } from "./flush-lane.ts";
import { OwnedRun } from "./owned-run.ts";
import type { PendingEvent, RunContribution } from "./owned-run.ts";
import { RunDriver } from "./run-driver.ts";
import { RunLoader } from "./run-loader.ts";
import type { ClaimedRun, InboxMessage, LeasedActivity, LoadedRun } from "./run-loader.ts";
import { STUCK_AFTER, SUSPECT_AFTER } from "./worker-options.ts";
import type { ActivityFinder, QueueService, ResolvedWorkerOptions } from "./worker-options.ts";

/** What an incarnation needs of its worker. */
export interface IncarnationContext {
  readonly workerId: string;
  readonly options: ResolvedWorkerOptions;
  readonly queries: WorkerQueries;
  readonly notifier: Notifier;
  readonly marks: LoopMarks;
  readonly activities: ActivityFinder;
  readonly services: ReadonlyMap<string, QueueService>;
  nowMs(): number;
  fatal(error: unknown): void;
}

/** Runs claimed with one statement. */
const CLAIM_MAX = 200;
const SWEEP_RUNS_MAX = 5_000;
/** Messages of one run that are read at once (worker-queries.ts, loadInbox). */
const INBOX_PAGE = 1_000;
/** A worker that never rests stops claiming for this long, so that a suspect gets its turn alone. */
const SUSPECT_PAUSE_MS = 5_000;
/** The shortest and longest sleep of the timer that fires due times. */
const TIMER_MAX_MS = 60_000;
const ATTEMPT_SWEEP_MS = 50;
/** Between two tries to read what a run can't do without. */
const READ_AGAIN_MS = 200;

export class Incarnation {
  readonly workerId: string;
  readonly #context: IncarnationContext;
  readonly #runs = new Map<string, OwnedRun>();
  readonly #lanes: FlushLane[];
  readonly #sessions: Session[];
  readonly #loader: RunLoader;
  readonly #driver: RunDriver;
  readonly #executor: ActivityExecutor;
  readonly #settler: ActivitySettler;
  readonly #pumping = new Map<string, "once" | "again">();
  /** Queues that may hold attempts: the claim of runs is the hot path and should not ask for both. */
  readonly #mayHaveAttempts = new Set<string>();
  readonly #toRead = new Set<OwnedRun>();
  readonly #toFeed = new Map<OwnedRun, readonly [number, number]>();
  #reading = false;
  #feeding = false;
  #flushNumber = 0;
  #alive = true;
  #draining = false;
  #suspectHeld: OwnedRun | undefined;
  /** Suspects were ready when somebody last looked. */
  #suspectsReady = false;
  #pausedAtMs = -Infinity;
  #claiming: Promise<unknown> = Promise.resolve();
  #claimLost = false;
  #claimUnderWay = false;
  /** Told of a message before the answer to their claim was here. */
  readonly #wokenEarly = new Set<string>();
  /** There was no room for more runs: look again when some have gone. */
  #starved = false;
  /** Attempts leased from the queue. */
  readonly #leased = new Map<string, { readonly runId: string; readonly position: number }>();
  #onEmpty: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Infinity;
  readonly #attemptSweep: NodeJS.Timeout;

  constructor(context: IncarnationContext) {
    this.#context = context;
    this.workerId = context.workerId;
    const { options, queries } = context;
    const session = (purpose: string, settings: Record<string, string> = {}): Session =>
      new Session({ source: options.source, purpose, settings });
    const reader = session("claim", { ...PLANNER_SETTINGS, synchronous_commit: "off" });
    const settling = session("settle");
    const laneSessions = Array.from({ length: options.lanes }, () => session("flush"));
    this.#sessions = [reader, settling, ...laneSessions];
    this.#loader = new RunLoader({
      session: reader,
      queries,
      workerId: this.workerId,
      namespace: options.schema,
    });
    this.#executor = new ActivityExecutor({
      workerId: this.workerId,
      slots: options.maxConcurrentActivities,
      marks: context.marks,
      onFree: () => this.#pumpWaiting(),
    });
    const host = this.#host();
    this.#driver = new RunDriver(host);
    this.#settler = new ActivitySettler({ host, session: settling, queries });
    this.#lanes = laneSessions.map((laneSession) => new FlushLane({ host, session: laneSession, queries }));
    this.#attemptSweep = setInterval(() => this.#driver.sweepAttempts(context.nowMs()), ATTEMPT_SWEEP_MS);
    this.#attemptSweep.unref();
  }

  get ownedCount(): number {
    return this.#runs.size;
  }

  get busyCount(): number {
    let count = 0;
    for (const run of this.#runs.values()) if (run.busy) count += 1;
    return count;
  }

  get runningAttempts(): number {
    return this.#executor.runningCount;
  }

  /** Looks for ready work of a queue, now: runs, and queued attempts where there may be some. */
  pump(taskQueue: string, mayHaveAttempts: boolean): void {
    if (!this.#alive || this.#draining) return;
    if (mayHaveAttempts) this.#mayHaveAttempts.add(taskQueue);
    if (this.#pumping.has(taskQueue)) {
      this.#pumping.set(taskQueue, "again");
      return;
    }
    this.#pumping.set(taskQueue, "once");
    void this.#pumpLoop(taskQueue);
  }

  /** Reads the inboxes of these runs, where they are owned here. */
  wake(runIds: Iterable<string>): void {
    for (const id of runIds) {
      const run = this.#runs.get(id);
      if (run !== undefined) this.#read(run);
      else if (this.#claimUnderWay) this.#wokenEarly.add(id);
    }
  }

  /** Finds what a lost notification hid: messages, and runs that are no longer owned. */
  async sweep(): Promise<void> {
    const runs = [...this.#runs.values()];
    for (let start = 0; start < runs.length && this.#alive; start += SWEEP_RUNS_MAX) {
      const some = runs.slice(start, start + SWEEP_RUNS_MAX);
      this.wake(some.filter((run) => run.unread).map(({ id }) => id));
      this.wake(await this.#loader.withMessages(some.map(({ id }) => id)));
      for (const id of await this.#loader.lost(some)) this.#lose(id);
    }
    this.#evict();
  }

  /** Hands everything over: parked runs at once, the others when their attempts have ended or the time is over. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    this.#executor.close();
    for (const run of this.#runs.values()) {
      run.releasing = true;
      this.#mark(run);
    }
    const done = Promise.all([this.#settled(), this.#giveBackClaims()]);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([done, late]);
    clearTimeout(timer);
    this.#executor.stop();
    for (const run of this.#runs.values()) this.#driver.drop(run, "the worker stops");
    await Promise.race([
      Promise.all([...this.#lanes.map((lane) => lane.idle()), this.#settler.idle()]),
      late,
    ]);
    this.#alive = false;
  }

  /** Stops at once and forgets everything, as a crash would. */
  abandon(): void {
    this.#alive = false;
    this.#executor.stop();
    for (const run of this.#runs.values()) this.#driver.drop(run, "the worker lost its ownership");
    this.#runs.clear();
    clearTimeout(this.#timer);
    clearInterval(this.#attemptSweep);
    for (const session of this.#sessions) session.destroy();
  }

  /** Closes the sessions of a drained incarnation. */
  async close(): Promise<void> {
    this.#alive = false;
    clearTimeout(this.#timer);
    clearInterval(this.#attemptSweep);
    await Promise.all(this.#sessions.map((session) => session.close()));
  }

  /** Runs whose claim was under way when the drain began were not taken in: others may have them at once. */
  async #giveBackClaims(): Promise<void> {
    if (!this.#claimUnderWay) return;
    try {
      await this.#claiming;
      await this.#releaseUnknown();
      for (const taskQueue of this.#context.services.keys()) this.#announce(taskQueue, "runs");
    } catch (error) {
      this.#context.options.log("warn", "giving back a claim failed; the hand-over does it", {
        error: String(error),
      });
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
    if (this.#onEmpty !== undefined && this.#runs.size === 0 && this.#leased.size === 0) this.#onEmpty();
  }

  #host(): ConstructorParameters<typeof RunDriver>[0] &
    ConstructorParameters<typeof FlushLane>[0]["host"] &
    ConstructorParameters<typeof ActivitySettler>[0]["host"] {
    const context = this.#context;
    return {
      workerId: this.workerId,
      executor: this.#executor,
      marks: context.marks,
      nowMs: () => context.nowMs(),
      alive: () => this.#alive,
      nextFlushNumber: () => (this.#flushNumber += 1),
      activity: (taskQueue, name) => context.activities.find(taskQueue, name),
      mark: (run) => this.#mark(run),
      feed: (run, span) => this.#feed(run, span),
      diagnose: (run, error) => void this.#diagnose(run, error),
      parked: (run, error) => this.#parked(run, error),
      timersChanged: () => this.#armTimer(),
      committed: (contributions, reply) => this.#committed(contributions, reply),
      behind: (runs) => {
        for (const run of runs) {
          this.#read(run);
          this.#mark(run);
        }
      },
      refused: (first: RunContribution | LeasedOutcome, error: unknown) => this.#refused(first, error),
      failed: (error) => context.fatal(error),
      retried: (error) => context.options.log("warn", "a flush is tried again", { error: String(error) }),
      settled: (outcomes, wakes) => this.#attemptsSettled(outcomes, wakes),
    };
  }

  #mark(run: OwnedRun): void {
    this.#lanes[run.lane]?.mark(run);
  }

  // ---- claims

  #pumpAll(mayHaveAttempts: boolean): void {
    for (const taskQueue of this.#context.services.keys()) this.pump(taskQueue, mayHaveAttempts);
  }

  /** A slot is free: attempts that found none before may be claimed now. */
  #pumpWaiting(): void {
    for (const taskQueue of this.#mayHaveAttempts) this.pump(taskQueue, true);
  }

  async #pumpLoop(taskQueue: string): Promise<void> {
    try {
      do {
        this.#pumping.set(taskQueue, "once");
        await this.#claimAll(taskQueue);
      } while (this.#alive && !this.#draining && this.#pumping.get(taskQueue) === "again");
    } catch (error) {
      if (this.#alive)
        this.#context.options.log("warn", "claiming failed", { taskQueue, error: String(error) });
    } finally {
      this.#pumping.delete(taskQueue);
    }
  }

  async #claimAll(taskQueue: string): Promise<void> {
    let more = true;
    while (more && this.#alive && !this.#draining) {
      const claimed = await this.#inTurn(() => this.#claimRuns(taskQueue, false));
      const leased = await this.#inTurn(() => this.#claimActivities(taskQueue));
      more = claimed || leased;
    }
  }

  /** One claim at a time: after a claim whose answer was lost, what is owned and what is known are compared. */
  async #inTurn(claim: () => Promise<boolean>): Promise<boolean> {
    const turn = this.#claiming.then(async () => {
      if (this.#claimLost) await this.#releaseUnknown();
      if (!this.#alive || this.#draining) return false;
      this.#claimUnderWay = true;
      try {
        return await claim();
      } catch (error) {
        this.#claimLost = true;
        throw error;
      } finally {
        this.#claimUnderWay = false;
        this.#wokenEarly.clear();
      }
    });
    this.#claiming = turn.catch(() => undefined);
    return await turn;
  }

  async #releaseUnknown(): Promise<void> {
    await this.#loader.releaseUnknown([...this.#runs.keys()], [...this.#leased.values()]);
    this.#claimLost = false;
  }

  /** Runs that others died on are ready: they are claimed alone, while nothing else is busy here. */
  expectSuspects(expected: boolean): void {
    this.#suspectsReady = expected;
    if (!expected || this.#draining || !this.#alive) return;
    if (this.busyCount > 0) {
      const nowMs = this.#context.nowMs();
      if (nowMs - this.#pausedAtMs > 2 * SUSPECT_PAUSE_MS) this.#pausedAtMs = nowMs;
      return;
    }
    this.#pausedAtMs = -Infinity;
    void this.#claimSuspects();
  }

  async #claimSuspects(): Promise<void> {
    try {
      let claimed = false;
      for (const taskQueue of this.#context.services.keys())
        claimed = (await this.#inTurn(() => this.#claimRuns(taskQueue, true))) || claimed;
      if (claimed) return;
      this.#suspectsReady = false;
      this.#pumpAll(false);
    } catch (error) {
      if (this.#alive)
        this.#context.options.log("warn", "claiming a suspect failed", { error: String(error) });
    }
  }

  /** A suspect that rests makes room: for the next one at once, for there may be many, else for everybody. */
  #afterSuspect(): void {
    if (this.#suspectHeld === undefined || isAtWork(this.#suspectHeld)) return;
    this.#suspectHeld = undefined;
    if (this.#suspectsReady && this.busyCount === 0) void this.#claimSuspects();
    else this.#pumpAll(false);
  }

  /** Whether claims wait: a suspect is alone here, or shall be. */
  get #restrained(): boolean {
    if (this.#suspectHeld !== undefined && isAtWork(this.#suspectHeld)) return true;
    this.#suspectHeld = undefined;
    return this.#context.nowMs() - this.#pausedAtMs < SUSPECT_PAUSE_MS;
  }

  /** True when there may be more to claim. */
  async #claimRuns(taskQueue: string, alone: boolean): Promise<boolean> {
    const { options, services } = this.#context;
    const workflows = [...(services.get(taskQueue)?.workflows.keys() ?? [])];
    if (workflows.length === 0 || this.#restrained) return false;
    const room = Math.min(
      options.maxConcurrentRuns - this.#approximateBusy(),
      options.maxCachedRuns - this.#runs.size,
    );
    const limit = alone ? 1 : Math.min(CLAIM_MAX, room);
    if (limit <= 0) {
      this.#starved = true;
      this.#evict();
      return false;
    }
    const claimed = await this.#loader.claim({
      taskQueue,
      workflows,
      limit,
      alone,
      suspectAfter: SUSPECT_AFTER,
    });
    if (claimed.length === 0) return false;
    crashPoint("claim.committed", this.workerId);
    const fresh = claimed.filter(isFresh);
    await this.#inMacrotask(() => {
      for (const claim of fresh) this.#own(claim, undefined);
    });
    const known = claimed.filter((claim) => !isFresh(claim));
    for await (const loaded of this.#loader.load(known)) {
      crashPoint("history.loaded", this.workerId);
      await this.#inMacrotask(() => {
        for (const claim of known) {
          const history = loaded.get(claim.facts.runId);
          if (history !== undefined) this.#own(claim, history);
        }
      });
    }
    if (alone) this.#suspectHeld = this.#runs.get(claimed[0]?.facts.runId ?? "");
    return claimed.length === limit;
  }

  /** Busy runs, counted at most so far as it matters. */
  #approximateBusy(): number {
    return this.#runs.size < this.#context.options.maxConcurrentRuns ? this.#runs.size : this.busyCount;
  }

  #own(claim: ClaimedRun, loaded: LoadedRun | undefined): void {
    if (!this.#alive || this.#draining) return;
    const { facts } = claim;
    this.#lose(facts.runId);
    const service = this.#context.services.get(facts.taskQueue);
    const invoke = service?.workflows.get(facts.workflowName);
    if (invoke === undefined) return;
    const machine = new RunMachine(facts, invoke);
    const run = new OwnedRun({
      facts,
      epoch: claim.epoch,
      machine,
      shadow: this.#context.options.paranoid ? new Shadow(machine) : undefined,
      lane: laneOf(facts.runId, this.#lanes.length),
      suspect: claim.busyTakeovers >= SUSPECT_AFTER,
      eventCount: loaded?.events.at(-1)?.eventNo ?? 0,
      blamed: claim.busyTakeovers > 0,
    });
    this.#runs.set(run.id, run);
    if (claim.busyTakeovers >= STUCK_AFTER) {
      this.#stick(run, claim.busyTakeovers);
      return;
    }
    for (const { position, signalId } of loaded?.waits ?? []) run.waitRows.set(position, signalId);
    this.#driver.begin(run, loaded?.events ?? [], loaded?.rows ?? []);
    run.unread = claim.hasInbox || loaded !== undefined || this.#wokenEarly.has(run.id);
    if (run.unread) this.#read(run);
  }

  #stick(run: OwnedRun, takeoverCount: number): void {
    const error = new StuckError({ workflowId: run.facts.workflowId, runId: run.id, takeoverCount });
    run.problem = { name: error.name, code: error.code, message: error.message };
    run.releasing = true;
    this.#parked(run, error);
    this.#mark(run);
  }

  #parked(run: OwnedRun, error: unknown): void {
    const { runId, workflowId, workflowName } = run.facts;
    this.#context.options.log("error", "run parked", {
      runId,
      workflowId,
      workflowName,
      problem: run.problem?.code,
      error: error instanceof Error ? error.message : String(error),
    });
  }

  #lose(runId: string): void {
    const run = this.#runs.get(runId);
    if (run === undefined) return;
    this.#driver.drop(run, "the run has another owner or has ended");
    this.#runs.delete(runId);
  }

  /** Gives up parked runs that were used longest ago, when there are too many. */
  #evict(): void {
    const surplus = this.#runs.size - Math.floor(this.#context.options.maxCachedRuns * 0.9);
    if (surplus <= 0) return;
    const parked = [...this.#runs.values()].filter((run) => !run.busy && !run.releasing);
    parked.sort((a, b) => a.usedAtMs - b.usedAtMs);
    for (const run of parked.slice(0, surplus)) {
      run.releasing = true;
      this.#mark(run);
    }
  }

  // ---- activities from the queue

  async #claimActivities(taskQueue: string): Promise<boolean> {
    const { activities, services } = this.#context;
    const limit = Math.min(CLAIM_MAX, this.#executor.free);
    if (!this.#mayHaveAttempts.has(taskQueue) || !services.has(taskQueue) || limit <= 0) return false;
    const names = activities.names(taskQueue);
    if (names.length === 0) return false;
    this.#mayHaveAttempts.delete(taskQueue);
    const leased = await this.#loader.claimActivities(taskQueue, names, limit);
    if (leased.length > 0) crashPoint("activities.claimed", this.workerId);
    await this.#inMacrotask(() => {
      for (const lease of leased) this.#runLeased(taskQueue, lease);
    });
    if (leased.length === limit) this.#mayHaveAttempts.add(taskQueue);
    return leased.length === limit;
  }

  #runLeased(taskQueue: string, lease: LeasedActivity): void {
    const implementation = this.#context.activities.find(taskQueue, lease.name);
    const { runId, position, attempt } = lease;
    this.#leased.set(`${runId}/${position}`, { runId, position });
    const outcome = (rest: Pick<LeasedOutcome, "kind" | "payload" | "retryMs" | "advance">): void =>
      this.#settler.add({ runId, position, attempt, ...rest });
    const giveBack = (): void => outcome({ kind: 0, payload: null, retryMs: 0, advance: 0 });
    if (implementation === undefined) {
      giveBack();
      return;
    }
    const policy =
      lease.policy === null
        ? normalizeRetryPolicy(undefined, "retryPolicy")
        : (JSON.parse(lease.policy) as RetryPolicy);
    this.#executor.submit({
      info: {
        activityName: lease.name,
        runId,
        workflowId: lease.workflowId,
        workflowName: lease.workflowName,
        taskQueue,
        position,
        attempt,
        signal: new AbortController().signal,
      },
      args: lease.args,
      implementation,
      settled: (result) => {
        if (result.kind === "completed") {
          outcome({
            kind: EVENT_KIND.activityCompleted,
            payload: result.result,
            retryMs: undefined,
            advance: 0,
          });
        } else {
          const again = attempt < policy.maximumAttempts && isRetryable(result.failure, policy);
          outcome({
            kind: EVENT_KIND.activityFailed,
            payload: JSON.stringify(result.failure),
            retryMs: again ? retryDelayMs(policy, attempt) : undefined,
            advance: 1,
          });
        }
      },
      refused: giveBack,
    });
  }

  #attemptsSettled(outcomes: readonly LeasedOutcome[], wakes: readonly Wake[]): void {
    this.#notifyWakes(wakes);
    for (const { runId, position } of outcomes) this.#leased.delete(`${runId}/${position}`);
    this.#checkEmpty();
    for (const { retryMs } of outcomes) {
      if (retryMs !== undefined && retryMs <= TIMER_MAX_MS)
        setTimeout(() => this.#pumpAll(true), retryMs).unref();
    }
  }

  // ---- flushes

  #committed(contributions: readonly RunContribution[], reply: FlushReply): void {
    const lost = new Set(reply.lost ?? []);
    const patches = patchesOf(reply);
    for (const contribution of contributions) {
      const { run } = contribution;
      if (lost.has(run.id)) {
        if (this.#runs.get(run.id) === run) this.#lose(run.id);
        else this.#driver.drop(run, "the run has another owner");
      } else if (!run.dropped) {
        this.#recorded(contribution, patches);
      }
    }
    this.#tell(reply);
    crashPoint("flush.applied", this.workerId);
    this.#checkEmpty();
    this.#afterSuspect();
    if (this.#starved) {
      this.#starved = false;
      this.#pumpAll(false);
    }
  }

  #recorded(contribution: RunContribution, patches: ReadonlyMap<string, EventPatch>): void {
    const { run } = contribution;
    run.eventCount = contribution.eventCount;
    if (contribution.events.length > 0) run.blamed = false;
    run.pending.splice(0, contribution.events.length);
    run.recorded = { busy: contribution.busy, wakeAtMs: contribution.wakeAtMs };
    for (const { position, signalId } of contribution.waits) {
      run.newWaits.delete(position);
      run.waitRows.set(position, signalId);
    }
    for (const { position } of contribution.waitsDone) run.waitRows.delete(position);
    if (contribution.snapshot !== undefined) {
      run.snapshotNo = contribution.snapshot.no;
      run.snapshotBytes = contribution.snapshot.document.length;
      run.changedBytes = 0;
    }
    this.#announceNewWork(contribution);
    if (contribution.end !== undefined || contribution.release !== undefined) {
      if (this.#draining) this.#announce(run.facts.taskQueue, "runs");
      this.#driver.drop(run, "the run has ended");
      this.#runs.delete(run.id);
      return;
    }
    for (const write of contribution.writes) if (write.thenStart) this.#driver.written(run, write.position);
    if (contribution.events.length > 0) this.#driver.committed(run, patched(contribution, patches));
  }

  /** Children, hooks and queued attempts are somebody's work now. */
  #announceNewWork(contribution: RunContribution): void {
    for (const { command } of contribution.pendings) {
      if (command?.kind === "child" || command?.kind === "hook") this.#announce(command.taskQueue, "runs");
    }
    for (const write of contribution.writes)
      if (write.state === "queued") this.#announce(write.taskQueue, "activities");
  }

  #announce(taskQueue: string, what: "runs" | "activities"): void {
    const { notifier, options, services } = this.#context;
    notifier.notify(channelName(options.schema, "queue", taskQueue), what);
    if (services.has(taskQueue)) this.pump(taskQueue, what === "activities");
  }

  #tell(reply: FlushReply): void {
    const { notifier } = this.#context;
    for (const watch of [reply.watch, reply.extra?.watch]) {
      for (const [channel, runIds] of Object.entries(watch ?? {})) {
        for (const runId of runIds) notifier.notify(channel, runId);
      }
    }
    this.#notifyWakes(reply.extra?.wake ?? []);
    this.wake(reply.extra?.inbox ?? []);
  }

  #notifyWakes(wakes: readonly Wake[]): void {
    const { notifier, options } = this.#context;
    for (const { run, owner, queue } of wakes) {
      if (owner === this.workerId) this.wake([run]);
      else if (typeof owner === "string") notifier.notify(channelName(options.schema, "worker", owner), run);
      else if (typeof queue === "string") this.#announce(queue, "runs");
    }
  }

  /** Postgres refuses one run's part, or one attempt's outcome, for good: its command fails with the reason. */
  #refused(first: RunContribution | LeasedOutcome, error: unknown): void {
    if (!("run" in first)) {
      const failure = encodeFailure(contributionFailure(error));
      this.#settler.add({
        ...first,
        kind: EVENT_KIND.activityFailed,
        payload: JSON.stringify(failure),
        retryMs: undefined,
      });
      return;
    }
    const { run } = first;
    if (run.dropped) return;
    this.#context.options.log("warn", "Postgres refused what a run wanted to record", {
      runId: run.id,
      error: String(error),
    });
    if (isHistoryAhead(error)) {
      this.#reclaim(run);
      return;
    }
    const failure = encodeFailure(contributionFailure(error));
    const [only] = run.pending;
    if (first.events.length > 1 || (first.events.length === 1 && first.end !== undefined)) {
      run.oneByOne = true;
    } else if (only !== undefined && first.events.length === 1 && canFail(only)) {
      const { position, name } = only.draft;
      const draft = { kind: EVENT_KIND.commandFailed, position, name, payload: JSON.stringify(failure) };
      run.pending[0] = { draft, ...(only.messageId === undefined ? {} : { messageId: only.messageId }) };
    } else if (first.end?.status === "completed") {
      run.end = { status: "failed", result: null, failure };
    } else {
      run.problem = { name: failure.name, code: "ENGINE_ERROR", message: failure.message };
      run.releasing = true;
      this.#parked(run, error);
    }
    this.#mark(run);
  }

  /**
   * History holds events that this owner does not know: after a crash of Postgres took back its claim, it claimed the run
   * again while an older flush of its own was still under way. The run is given back and replayed.
   */
  #reclaim(run: OwnedRun): void {
    this.#lose(run.id);
    this.#claimLost = true;
    this.#pumpAll(false);
  }

  // ---- messages and entity changes

  #read(run: OwnedRun): void {
    this.#toRead.add(run);
    if (this.#reading) return;
    this.#reading = true;
    void this.#readAll();
  }

  async #readAll(): Promise<void> {
    try {
      while (this.#toRead.size > 0 && this.#alive) {
        const runs = [...this.#toRead].filter((run) => !run.dropped).slice(0, SWEEP_RUNS_MAX);
        for (const run of this.#toRead) if (run.dropped) this.#toRead.delete(run);
        for (const run of runs) this.#toRead.delete(run);
        if (runs.length === 0) continue;
        const messages = await this.#loader.inbox(
          runs.map((run) => ({ id: run.id, lastMessageId: run.lastMessageId })),
        );
        if (messages.length > 0) crashPoint("inbox.read", this.workerId);
        for (const message of messages) this.#receive(message);
        await this.#haveRead(runs, messages);
      }
    } catch (error) {
      if (this.#alive)
        this.#context.options.log("warn", "reading messages failed; a sweep will", { error: String(error) });
    } finally {
      this.#reading = false;
    }
  }

  /** A wake without a message: others may have ended the run. With a full page of them, there may be more. */
  async #haveRead(runs: readonly OwnedRun[], messages: readonly InboxMessage[]): Promise<void> {
    const counts = new Map<string, number>();
    for (const { runId } of messages) counts.set(runId, (counts.get(runId) ?? 0) + 1);
    for (const run of runs) {
      if ((counts.get(run.id) ?? 0) >= INBOX_PAGE) this.#toRead.add(run);
      else if (run.unread) {
        run.unread = false;
        this.#mark(run);
      }
    }
    const silent = runs.filter((run) => !counts.has(run.id) && !run.dropped);
    if (silent.length === 0) return;
    for (const id of await this.#loader.lost(silent)) this.#lose(id);
  }

  #receive(message: InboxMessage): void {
    const run = this.#runs.get(message.runId);
    if (run === undefined || run.dropped || BigInt(message.messageId) <= BigInt(run.lastMessageId)) return;
    run.lastMessageId = message.messageId;
    const { kind, position, name, messageId } = message;
    const { context } = run.machine;
    if (position !== null && position < context.basePosition) {
      run.discarded.push(messageId);
      this.#mark(run);
      return;
    }
    if (position !== null) {
      run.activities.delete(position);
      run.openHooks.delete(position);
    }
    const payload =
      kind === EVENT_KIND.signalReceived
        ? encodeSignalPayload(message.fromRunId, message.payload)
        : message.payload;
    this.#driver.record(run, { draft: { kind, position, name, payload }, messageId });
  }

  #feed(run: OwnedRun, span: readonly [number, number]): void {
    this.#toFeed.set(run, span);
    if (this.#feeding) return;
    this.#feeding = true;
    void this.#feedAll();
  }

  async #feedAll(): Promise<void> {
    while (this.#toFeed.size > 0 && this.#alive) {
      const asked = [...this.#toFeed].filter(([run]) => !run.dropped);
      this.#toFeed.clear();
      if (asked.length > 0) await this.#feedThese(asked);
    }
    this.#feeding = false;
  }

  /** Without its memory a run can't go on: it is read for as long as the database may come back. */
  async #feedThese(asked: readonly (readonly [OwnedRun, readonly [number, number]])[]): Promise<void> {
    try {
      const changes = await this.#loader.changes(
        asked.map(([run, [first, last]]) => ({ entityId: run.facts.entityId, first, last })),
      );
      await this.#inMacrotask(() => {
        for (const [run] of asked) this.#driver.fed(run, changes.get(run.facts.entityId) ?? []);
      });
    } catch (error) {
      if (!this.#alive) return;
      if (classifySqlError(error) !== "transient") {
        this.#context.fatal(error);
        return;
      }
      this.#context.options.log("warn", "reading the memory of runs failed and is tried again", {
        error: String(error),
      });
      for (const [run, span] of asked) this.#toFeed.set(run, span);
      await delay(READ_AGAIN_MS);
    }
  }

  /** Reads all that a run has recorded and replays it under observation. */
  async #diagnose(run: OwnedRun, error: PlacelessError): Promise<void> {
    let found: unknown = error;
    try {
      const events = (await this.#loader.events([run.id])).get(run.id) ?? [];
      const last = events.reduce((latest, { entityNo }) => Math.max(latest, entityNo ?? 0), 0);
      const span = { entityId: run.facts.entityId, first: 1, last };
      const changes = last === 0 ? [] : ((await this.#loader.changes([span])).get(span.entityId) ?? []);
      await this.#inMacrotask(() => {
        this.#context.marks.enter("run", run.id, 0);
        try {
          found = diagnose({ machine: run.machine, events, changes, error });
        } finally {
          this.#context.marks.leave();
        }
      });
    } catch (failure) {
      this.#context.options.log("warn", "the place of a problem was not found", {
        runId: run.id,
        error: String(failure),
      });
    }
    if (this.#alive) this.#driver.diagnosed(run, found);
  }

  // ---- time

  #armTimer(): void {
    const dueMs = this.#driver.nextDueMs;
    if (dueMs === undefined || !this.#alive || dueMs >= this.#timerDueMs) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    const waitMs = Math.min(TIMER_MAX_MS, Math.max(0, Math.ceil(dueMs - this.#context.nowMs())));
    this.#timer = setTimeout(() => {
      this.#timerDueMs = Infinity;
      if (!this.#alive) return;
      this.#driver.fire(this.#context.nowMs());
      this.#armTimer();
    }, waitMs);
    this.#timer.unref();
  }

  /** The code of runs executes only in a macrotask: in a microtask the drain does nothing. */
  async #inMacrotask(work: () => void): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      setImmediate(() => {
        try {
          if (this.#alive) work();
          resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }
}

/** What a flush found out about an event that it wrote. */
interface EventPatch {
  readonly kind?: number;
  readonly entityNo?: number;
}

function patchesOf(reply: FlushReply): ReadonlyMap<string, EventPatch> {
  const patches = new Map<string, EventPatch>();
  for (const { run, no, kind } of reply.extra?.started ?? []) patches.set(`${run}/${no}`, { kind });
  for (const { run, no, entity_no: entityNo } of reply.extra?.numbers ?? [])
    patches.set(`${run}/${no}`, { entityNo });
  return patches;
}

function patched(
  { run, events, pendings }: RunContribution,
  patches: ReadonlyMap<string, EventPatch>,
): readonly HistoryEvent[] {
  if (patches.size === 0) return events;
  return events.map((event, index) => {
    const patch = patches.get(`${run.id}/${event.eventNo}`);
    if (patch === undefined) return event;
    const command = pendings[index]?.command;
    return {
      ...event,
      kind: (patch.kind ?? event.kind) as HistoryEvent["kind"],
      entityNo: patch.entityNo ?? event.entityNo,
      payload:
        command?.kind === "child" || command?.kind === "hook"
          ? JSON.stringify({ runId: command.runId, workflowId: command.workflowId })
          : event.payload,
    };
  });
}

/** Whether the command behind an event can be told that it failed; an event that says so already can't. */
function canFail({ draft }: PendingEvent): boolean {
  return draft.position !== null && draft.kind !== EVENT_KIND.commandFailed;
}

/** True when an event of this number stands already. */
function isHistoryAhead(error: unknown): boolean {
  return (error as { readonly constraint?: unknown }).constraint === "events_pkey";
}

function isAtWork(run: OwnedRun): boolean {
  return !run.dropped && run.busy;
}

function isFresh(claim: ClaimedRun): boolean {
  return claim.epoch === 1 && claim.eventCount === 0;
}

function laneOf(runId: string, laneCount: number): number {
  return Number.parseInt(runId.slice(-4), 16) % laneCount;
}
