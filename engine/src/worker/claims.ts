/**
 * Claims what is ready: runs, suspects by themselves, and attempts from the queue.
 *
 * Promises one claim at a time, no more runs or attempts than there is room for, and that after a claim whose answer was
 * lost nothing stays owned without being known here.
 */
import { crashPoint } from "../crash-points.ts";
import { outside } from "../store/outside.ts";
import type { ActivityExecutor } from "./activity-executor.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import type { LeasedAttempts } from "./leased-attempts.ts";
import type { Life } from "./life.ts";
import type { OwnedRun } from "./owned-run.ts";
import type { RunIntake } from "./run-intake.ts";
import type { ClaimedRun, RunLoader } from "./run-loader.ts";
import type { RunTable } from "./run-table.ts";
import { Suspects } from "./suspects.ts";
import { SUSPECT_AFTER } from "./worker-options.ts";

/** Runs, or attempts, claimed with one statement; fewer for a while after a failure, which large inputs may have made. */
const CLAIM_MAX = 200;

export class Claims {
  readonly #context: IncarnationContext;
  readonly #life: Life;
  readonly #loader: RunLoader;
  readonly #runs: RunTable;
  readonly #intake: RunIntake;
  readonly #leases: LeasedAttempts;
  readonly #executor: ActivityExecutor;
  readonly #makeRoom: () => void;
  readonly #suspects: Suspects;
  readonly #pumping = new Map<string, "once" | "again">();
  /** Queues that may hold attempts: the claim of runs is the hot path and should not ask for both. */
  readonly #mayHaveAttempts = new Set<string>();
  #turn: Promise<unknown> = Promise.resolve();
  #lost = false;
  #claimMax = CLAIM_MAX;
  #underWay = false;
  /** Told of a message before the answer to their claim was here. */
  readonly #wokenEarly = new Set<string>();
  /** There was no room for more runs: look again when some have gone. */
  #starved = false;

  constructor(options: {
    readonly context: IncarnationContext;
    readonly life: Life;
    readonly loader: RunLoader;
    readonly runs: RunTable;
    readonly intake: RunIntake;
    readonly leases: LeasedAttempts;
    readonly executor: ActivityExecutor;
    /** There is no room for another run. */
    makeRoom(): void;
  }) {
    this.#context = options.context;
    this.#life = options.life;
    this.#loader = options.loader;
    this.#runs = options.runs;
    this.#intake = options.intake;
    this.#leases = options.leases;
    this.#executor = options.executor;
    this.#makeRoom = () => options.makeRoom();
    this.#suspects = new Suspects({
      nowMs: () => options.context.nowMs(),
      atWork: () => this.#runs.busyCount + this.#leases.size,
      claim: () => this.#claimSuspect(),
      resume: () => this.pumpAll(false),
    });
  }

  /** Looks for ready work of a queue, now: runs, and queued attempts where there may be some. */
  pump(taskQueue: string, mayHaveAttempts: boolean): void {
    if (!this.#life.working) return;
    if (mayHaveAttempts) this.#mayHaveAttempts.add(taskQueue);
    if (this.#pumping.has(taskQueue)) {
      this.#pumping.set(taskQueue, "again");
      return;
    }
    this.#pumping.set(taskQueue, "once");
    void this.#pumpLoop(taskQueue);
  }

  pumpAll(mayHaveAttempts: boolean): void {
    for (const taskQueue of this.#context.services.keys()) this.pump(taskQueue, mayHaveAttempts);
  }

  /** A slot is free: attempts that found none before may be claimed now. */
  pumpWaiting(): void {
    if (this.#mayHaveAttempts.size === 0) return;
    // Called where an attempt has ended: claims go on without its context.
    outside(() => {
      for (const taskQueue of this.#mayHaveAttempts) this.pump(taskQueue, true);
    });
  }

  /** A run that is not known here has a message: it may be on its way. */
  wakeEarly(runId: string): void {
    if (this.#underWay) this.#wokenEarly.add(runId);
  }

  /** Runs have recorded something: there may be room where there was none. */
  committed(): void {
    this.#suspects.progressed();
    if (!this.#starved) return;
    this.#starved = false;
    this.pumpAll(false);
  }

  /** What is owned may not be what is known: they are compared before the next claim, which is made now. */
  distrust(): void {
    this.#lost = true;
    this.pumpAll(false);
  }

  /** After a claim whose answer was lost: compares what is owned with what is known, now. */
  recover(): void {
    if (this.#lost) this.pumpAll(true);
  }

  /** Whether runs that others died on are ready: they are claimed alone. */
  expectSuspects(expected: boolean): void {
    if (this.#life.working) this.#suspects.expect(expected);
  }

  stop(): void {
    this.#suspects.stop();
  }

  /** Gives back what a claim that is under way may still bring; true when there was one. */
  async giveBack(): Promise<boolean> {
    if (!this.#underWay) return false;
    await this.#turn;
    await this.#releaseUnknown();
    return true;
  }

  async #pumpLoop(taskQueue: string): Promise<void> {
    try {
      do {
        this.#pumping.set(taskQueue, "once");
        await this.#claimAll(taskQueue);
      } while (this.#life.working && this.#pumping.get(taskQueue) === "again");
    } catch (error) {
      const facts = { taskQueue, error: String(error) };
      if (this.#life.alive) this.#context.options.log("warn", "claiming failed", facts);
    } finally {
      this.#pumping.delete(taskQueue);
    }
  }

  async #claimAll(taskQueue: string): Promise<void> {
    let more = true;
    while (more && this.#life.working) {
      const claimed = await this.#inTurn(() => this.#claimMany(taskQueue));
      const leased = await this.#inTurn(() => this.#claimActivities(taskQueue));
      more = claimed === true || leased === true;
    }
  }

  /** One claim at a time: after a claim whose answer was lost, what is owned and what is known are compared. */
  async #inTurn<Claimed>(claim: () => Promise<Claimed>): Promise<Claimed | undefined> {
    const turn = this.#turn.then(async () => {
      if (this.#lost) await this.#releaseUnknown();
      if (!this.#life.working) return undefined;
      this.#underWay = true;
      try {
        const claimed = await claim();
        this.#claimMax = Math.min(CLAIM_MAX, 2 * this.#claimMax);
        return claimed;
      } catch (error) {
        this.#lost = true;
        this.#claimMax = Math.max(1, this.#claimMax >> 2);
        throw error;
      } finally {
        this.#underWay = false;
        this.#wokenEarly.clear();
      }
    });
    this.#turn = turn.catch(() => undefined);
    return await turn;
  }

  async #releaseUnknown(): Promise<void> {
    const { settling } = this.#leases;
    await this.#loader.releaseUnknown(this.#runs.ids(), this.#leases.all());
    // An attempt that was given back and leased again by the lost claim is known here by its former lease.
    this.#lost = settling;
  }

  async #claimSuspect(): Promise<OwnedRun | undefined> {
    try {
      for (const taskQueue of this.#context.services.keys()) {
        const claimed = await this.#inTurn(() => this.#claimRuns(taskQueue, { limit: 1, alone: true }));
        const suspect = this.#runs.get(claimed?.[0]?.facts.runId ?? "");
        if (suspect !== undefined) return suspect;
      }
    } catch (error) {
      const facts = { error: String(error) };
      if (this.#life.alive) this.#context.options.log("warn", "claiming a suspect failed", facts);
    }
    return undefined;
  }

  /** True when there may be more to claim. */
  async #claimMany(taskQueue: string): Promise<boolean> {
    if (this.#suspects.restrained) return false;
    const { maxCachedRuns, maxConcurrentRuns } = this.#context.options;
    const room = Math.min(
      maxConcurrentRuns - this.#runs.crowd(maxConcurrentRuns),
      maxCachedRuns - this.#runs.size,
    );
    const limit = Math.min(this.#claimMax, room);
    if (limit <= 0) {
      this.#starved = true;
      this.#makeRoom();
      return false;
    }
    return (await this.#claimRuns(taskQueue, { limit, alone: false })).length === limit;
  }

  async #claimRuns(
    taskQueue: string,
    how: { readonly limit: number; readonly alone: boolean },
  ): Promise<readonly ClaimedRun[]> {
    const workflows = [...(this.#context.services.get(taskQueue)?.workflows.keys() ?? [])];
    if (workflows.length === 0) return [];
    const claimed = await this.#loader.claim({ taskQueue, workflows, suspectAfter: SUSPECT_AFTER, ...how });
    if (claimed.length === 0) return claimed;
    crashPoint("claim.committed", this.#context.workerId);
    await this.#takeIn(claimed);
    return claimed;
  }

  /** The fresh ones at once, the others as their histories come. */
  async #takeIn(claimed: readonly ClaimedRun[]): Promise<void> {
    const take = (claim: ClaimedRun, loaded: Parameters<RunIntake["take"]>[0]["loaded"]): void =>
      this.#intake.take({ claim, loaded, woken: this.#wokenEarly.has(claim.facts.runId) });
    const fresh = claimed.filter(isFresh);
    await this.#life.inMacrotask(() => {
      for (const claim of fresh) take(claim, undefined);
    });
    const known = claimed.filter((claim) => !isFresh(claim));
    for await (const loaded of this.#loader.load(known)) {
      crashPoint("history.loaded", this.#context.workerId);
      await this.#life.inMacrotask(() => {
        for (const claim of known) {
          const history = loaded.get(claim.facts.runId);
          if (history !== undefined) take(claim, history);
        }
      });
    }
  }

  async #claimActivities(taskQueue: string): Promise<boolean> {
    const { activities, services, workerId } = this.#context;
    const limit = Math.min(this.#claimMax, this.#executor.free);
    if (this.#suspects.restrained) return false;
    if (!this.#mayHaveAttempts.has(taskQueue) || !services.has(taskQueue) || limit <= 0) return false;
    const names = activities.names(taskQueue);
    if (names.length === 0) return false;
    this.#mayHaveAttempts.delete(taskQueue);
    const leased = await this.#loader.claimActivities(taskQueue, names, limit);
    if (leased.length > 0) crashPoint("activities.claimed", workerId);
    await this.#life.inMacrotask(() => {
      for (const lease of leased) this.#leases.run(taskQueue, lease);
    });
    if (leased.length === limit) this.#mayHaveAttempts.add(taskQueue);
    return leased.length === limit;
  }
}

function isFresh(claim: ClaimedRun): boolean {
  return claim.epoch === 1 && claim.eventCount === 0;
}
