/**
 * Makes one of several processes the leader, by a Lease.
 *
 * Promises: a process ceases to believe that it leads before any other may begin to, also when its requests hang, get lost,
 * or were carried out without an answer. It renews over connections of its own, each try with its own limit. When it is
 * told to end, it lets its work end first, then gives the lease back, so that the next one need not wait. Work of an earlier
 * leadership has ended before the same process leads again.
 *
 * What it cannot promise: that a write which was sent in time also arrives in time. That is what the fencing token is for:
 * it grows with each leadership, and who keeps the newest one refuses older ones. Nor does it help against people: when
 * somebody deletes the Lease, a process that never saw it takes over at once, and the old leader learns of it by its next
 * renewal.
 */
import { randomUUID } from "node:crypto";
import type { KubeConfig } from "@kubernetes/client-node";
import { sleep, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { AlreadyExistsError, ConflictError, NotFoundError } from "./errors.ts";
import { KubeClient } from "./kube-client.ts";
import { newLease, observe, othersTimeMs, releasedLease, renewedLease, takenLease } from "./lease-record.ts";
import type { HolderRecord, Observation } from "./lease-record.ts";
import { errorFields } from "./log.ts";
import type { Log } from "./log.ts";
import { LEASES } from "./resource-type.ts";
import type { Lease } from "./resource-type.ts";
import type { ObjectName } from "./wire.ts";

/** How long everything takes. */
export interface ElectionTimes {
  /** For which others wait after the last renewal that they saw (default 15,000; whole seconds). */
  readonly leaseDurationMs: number;
  /** For which the leader believes in a renewal, from before it was sent (default 10,000). */
  readonly renewDeadlineMs: number;
  /** Between two renewals (default 2,000). */
  readonly renewMs: number;
  /** Between two looks of a standby, and after a renewal that failed (default 1,500). */
  readonly retryMs: number;
  /** For each request (default 3,000). */
  readonly attemptTimeoutMs: number;
}

/** Who stands for election, for what. */
export interface LeaderElectorOptions {
  readonly kubeConfig: KubeConfig;
  readonly lease: ObjectName;
  /** Shown in the Lease; made unique by the elector. The name of the Pod, at best. */
  readonly name: string;
  /**
   * Does what only a leader may. It is to end soon after the signal of the leadership aborts. If it ends before, the
   * elector ends with it; if it rejects, so does the elector.
   */
  readonly lead: (leadership: Leadership) => Promise<void>;
  readonly log: Log;
  readonly times?: Partial<ElectionTimes>;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** One time of leading. */
export interface Leadership {
  /** Greater than that of every earlier leadership. */
  readonly fencingToken: number;
  /** Aborts when the leadership is lost, with `LeadershipLostError`, or to be given up, with `LeadershipEndsError`. */
  readonly signal: AbortSignal;
  /**
   * Returns while the leadership lasts, by the clock, also when nothing could abort the signal yet.
   *
   * @throws {LeadershipLostError} From the moment on when another one may lead.
   */
  assertCurrent(): void;
}

/** The lease could not be renewed in time, or another one has it. */
export class LeadershipLostError extends Error {
  readonly code = "LEADERSHIP_LOST";

  constructor(identity: string) {
    super(`"${identity}" does not lead any more`);
    this.name = "LeadershipLostError";
  }
}

/** The process ends; until its work has, it still leads. */
export class LeadershipEndsError extends Error {
  readonly code = "LEADERSHIP_ENDS";

  constructor(identity: string) {
    super(`"${identity}" gives up its leadership`);
    this.name = "LeadershipEndsError";
  }
}

const TIMES: ElectionTimes = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  renewMs: 2_000,
  retryMs: 1_500,
  attemptTimeoutMs: 3_000,
};
const FIELD_MANAGER = "memflow-operator-election";

/** The lease as we hold it. */
interface Holding {
  readonly lease: Lease;
  /** By our steady clock, the moment from which we do not lead unless we renewed. */
  readonly untilMs: number;
}

/** Stands for election until it is told to end. */
export class LeaderElector {
  readonly identity: string;
  readonly #options: LeaderElectorOptions;
  readonly #times: ElectionTimes;
  readonly #clock: Clock;
  readonly #client: KubeClient;
  #observation: Observation | undefined;
  #holding: Holding | undefined;

  /**
   * @throws {RangeError} When the times could not keep the promises.
   */
  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#times = checkTimes({ ...TIMES, ...options.times });
    this.#clock = options.clock ?? systemClock;
    // Unique to this life of the process: an earlier one of the same name may still believe that it leads.
    this.identity = `${options.name}_${randomUUID()}`;
    this.#client = new KubeClient({
      kubeConfig: options.kubeConfig,
      clock: this.#clock,
      attemptMax: 1,
      attemptTimeoutMs: this.#times.attemptTimeoutMs,
    });
  }

  /** Whether this process leads at this very moment. */
  get isLeading(): boolean {
    return this.#holding !== undefined && this.#clock.steadyMs() < this.#holding.untilMs;
  }

  /** Who holds the lease, as far as was last seen; undefined when nobody does. */
  get holder(): string | undefined {
    return this.isLeading ? this.identity : this.#observation?.holder;
  }

  /**
   * Stands for election, and leads whenever it is elected.
   *
   * @param signal - Ends it: the work first, then the lease is given back.
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        if (!(await this.#campaign(signal))) await sleep(this.#clock, this.#untilNextLookMs(), signal);
        else if (!(await this.#reign(signal))) return;
      }
    } finally {
      await this.#client.close();
    }
  }

  /** Looks at the lease, and takes it if it is free. @returns Whether we hold it. */
  async #campaign(signal: AbortSignal): Promise<boolean> {
    const { lease: name, log } = this.#options;
    try {
      const lease = await this.#client.find(LEASES, name, { signal });
      const nowMs = this.#clock.steadyMs();
      if (lease) this.#observation = observe(lease, this.#observation, nowMs);
      // Of a lease that somebody deleted, its holder does not know yet.
      if (this.#observation && othersTimeMs(this.#observation, this.identity, nowMs) > 0) return false;
      await this.#take(lease, signal);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      const isRace = error instanceof ConflictError || error instanceof AlreadyExistsError;
      if (!isRace)
        log("warn", "the lease can't be read or taken", { lease: name.name, ...errorFields(error) });
      return false;
    }
  }

  /** Begins a term. Only what the server confirmed makes a leader. */
  async #take(lease: Lease | undefined, signal: AbortSignal): Promise<void> {
    const options = { fieldManager: FIELD_MANAGER, signal };
    await this.#hold((record) =>
      lease
        ? this.#client.replace(LEASES, takenLease(lease, record), options)
        : this.#client.create(LEASES, newLease(this.#options.lease, record), options),
    );
  }

  async #hold(write: (record: HolderRecord) => Promise<Lease>): Promise<void> {
    const sentMs = this.#clock.steadyMs();
    const { leaseDurationMs, renewDeadlineMs } = this.#times;
    const lease = await write({
      identity: this.identity,
      leaseDurationMs,
      wallTime: this.#clock.wallTime(),
    });
    this.#holding = { lease, untilMs: sentMs + renewDeadlineMs };
  }

  /** Leads, until the work has ended. @returns Whether to stand for election again. */
  async #reign(stopSignal: AbortSignal): Promise<boolean> {
    const { log, lead, lease } = this.#options;
    const fencingToken = this.#holding?.lease.spec?.leaseTransitions ?? 0;
    const fields = { lease: lease.name, identity: this.identity, fencingToken };
    const over = new AbortController();
    const stop = (): void => over.abort(new LeadershipEndsError(this.identity));
    const lose = (): void => {
      this.#holding = undefined;
      over.abort(new LeadershipLostError(this.identity));
    };
    const assertCurrent = (): void => {
      if (!this.isLeading) throw new LeadershipLostError(this.identity);
    };
    if (stopSignal.aborted) stop();
    stopSignal.addEventListener("abort", stop, { once: true });
    const renewing = new AbortController();
    log("info", "leading", fields);
    const renewal = this.#keepRenewing(renewing.signal, lose);
    try {
      await lead({ fencingToken, signal: over.signal, assertCurrent });
      return over.signal.aborted;
    } catch (error) {
      if (!over.signal.aborted) throw error;
      if (error !== over.signal.reason)
        log("error", "work failed at its end", { ...fields, ...errorFields(error) });
      return true;
    } finally {
      stopSignal.removeEventListener("abort", stop);
      renewing.abort();
      await renewal;
      if (this.isLeading) await this.#release();
      else log("warn", "leadership lost", fields);
      this.#holding = undefined;
      // What we held ourselves nobody has to wait for: the work has ended.
      this.#observation = undefined;
    }
  }

  /** Renews in time, or calls `lose` in time, whatever the requests do. */
  async #keepRenewing(signal: AbortSignal, lose: () => void): Promise<void> {
    const { renewMs, retryMs } = this.#times;
    let delayMs = renewMs;
    while (!signal.aborted) {
      await sleep(this.#clock, Math.min(delayMs, this.#leftMs()), signal);
      if (signal.aborted) return;
      // A renewal must not outlive the belief, nor begin after it: the process may have been paused meanwhile.
      const expired = new AbortController();
      const stopTimer = this.#clock.after(this.#leftMs(), () => expired.abort());
      if (this.#holding && this.#leftMs() > 0)
        delayMs = (await this.#renew(this.#holding, expired.signal)) ? renewMs : retryMs;
      stopTimer();
      if (this.#leftMs() <= 0) {
        lose();
        return;
      }
    }
  }

  #leftMs(): number {
    return this.#holding ? this.#holding.untilMs - this.#clock.steadyMs() : 0;
  }

  /** @returns Whether the lease is renewed. Without a holding after it, another one has the lease. */
  async #renew(holding: Holding, signal: AbortSignal): Promise<boolean> {
    const { lease: name, log } = this.#options;
    try {
      await this.#hold((record) => {
        const renewed = renewedLease(holding.lease, record);
        return this.#client.replace(LEASES, renewed, { fieldManager: FIELD_MANAGER, signal });
      });
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      log("warn", "the lease was not renewed", { lease: name.name, ...errorFields(error) });
      if (error instanceof NotFoundError) this.#holding = undefined;
      if (error instanceof ConflictError) await this.#readAgain(signal);
      return false;
    }
  }

  /** Somebody changed the lease: we did, when an answer was lost, or whoever has it now. */
  async #readAgain(signal: AbortSignal): Promise<void> {
    const { lease: name, log } = this.#options;
    try {
      const lease = await this.#client.get(LEASES, name, { signal });
      if (!this.#holding) return;
      const isOurs = lease.spec?.holderIdentity === this.identity;
      this.#holding = isOurs ? { ...this.#holding, lease } : undefined;
    } catch (error) {
      if (!signal.aborted)
        log("warn", "the lease can't be read", { lease: name.name, ...errorFields(error) });
    }
  }

  /** Gives the lease back. If that fails, the others wait for its time to be over. */
  async #release(): Promise<void> {
    const { lease: name, log } = this.#options;
    try {
      const lease = await this.#client.get(LEASES, name);
      if (lease.spec?.holderIdentity !== this.identity) return;
      const released = releasedLease(lease, this.#clock.wallTime());
      await this.#client.replace(LEASES, released, { fieldManager: FIELD_MANAGER });
    } catch (error) {
      log("warn", "the lease was not given back", { lease: name.name, ...errorFields(error) });
    }
  }

  /** Soon, and when the present holder's time is over, if that is sooner. */
  #untilNextLookMs(): number {
    const { random = Math.random } = this.#options;
    const jitteredMs = this.#times.retryMs * (1 - RETRY_JITTER * random());
    const othersMs = this.#observation
      ? othersTimeMs(this.#observation, this.identity, this.#clock.steadyMs())
      : 0;
    return othersMs > 0 ? Math.min(jitteredMs, othersMs) : jitteredMs;
  }
}

/** So that standbys do not all come at the same moment. */
const RETRY_JITTER = 0.2;

function checkTimes(times: ElectionTimes): ElectionTimes {
  const { leaseDurationMs, renewDeadlineMs, renewMs, retryMs, attemptTimeoutMs } = times;
  if (leaseDurationMs % 1000 !== 0) {
    throw new RangeError(`leaseDurationMs is ${leaseDurationMs}, must be whole seconds`);
  }
  if (renewDeadlineMs >= leaseDurationMs) {
    throw new RangeError(
      `renewDeadlineMs is ${renewDeadlineMs}, must be below leaseDurationMs (${leaseDurationMs})`,
    );
  }
  // Otherwise one request that hangs costs the leadership.
  const twoTriesMs = renewMs + attemptTimeoutMs + retryMs + attemptTimeoutMs;
  if (twoTriesMs > renewDeadlineMs) {
    throw new RangeError(
      `renewMs + retryMs + 2 * attemptTimeoutMs is ${twoTriesMs}, must be at most renewDeadlineMs (${renewDeadlineMs})`,
    );
  }
  return times;
}
