/**
 * When to look at the load of one Store, for all of its queues together.
 *
 * Promises: a look soon after it was asked for, begun after that, however many ask and however often; never two at a time,
 * and never two that begin within {@link LOOK_GAP_MS}; after a failed one another within {@link UNSEEN_RETRY_MS}. Whoever
 * wants a look at a later time says so anew after each look.
 */
import type { ConnectedStore } from "../api/index.ts";
import type { Clock } from "../kube/index.ts";
import type { SeenStore } from "../scaling/observe.ts";
import type { UnseenQueue } from "../scaling/core/observation.ts";

/** What scaling needs of a Store. */
export type ScaledStore = Pick<ConnectedStore, "observer" | "onWork">;

/** One look. */
export interface Look {
  /** Counts from 1. */
  readonly number: number;
  /** Undefined while it is not connected. */
  readonly store: ScaledStore | undefined;
  readonly answer: SeenStore | UnseenQueue;
  readonly beganMs: number;
  readonly endedMs: number;
}

/** What a watch needs. */
export interface StoreWatchOptions {
  readonly storeKey: string;
  readonly find: () => ScaledStore | undefined;
  readonly clock: Clock;
  /** Hears of each look, after `latest` has it. */
  readonly onLook: (look: Look) => void;
}

/** A burst of starts is a few looks. */
export const LOOK_GAP_MS = 250;
/** With the time limits of a look, an outage's end is known within 15 s. */
const UNSEEN_RETRY_MS = 2_000;
/** Connecting takes its time, after a restart of the operator or with new credentials: that is no outage yet. */
const CONNECT_GRACE_MS = 10_000;

/** Looks at one Store until it is closed. */
export class StoreWatch {
  readonly #options: StoreWatchOptions;
  #missingSinceMs: number | undefined;
  #latest: Look | undefined;
  #beganMs = -Infinity;
  #isLooking = false;
  #isClosed = false;
  /** The earliest time that somebody wants a look at. */
  #dueMs = Infinity;
  #cancelTimer = (): void => {};

  constructor(options: StoreWatchOptions) {
    this.#options = options;
  }

  /** The newest look that came to its end. */
  get latest(): Look | undefined {
    return this.#latest;
  }

  /** Asks for a look that begins after this call, soon. */
  request(): void {
    this.requestBy(this.#options.clock.steadyMs());
  }

  /** Asks for a look at that time at the latest. */
  requestBy(dueMs: number): void {
    const atMs = Math.max(dueMs, this.#beganMs + LOOK_GAP_MS);
    if (this.#isClosed || atMs >= this.#dueMs) return;
    this.#dueMs = atMs;
    this.#arm();
  }

  /** Ends it; a look under way is heard of by nobody. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
  }

  #arm(): void {
    this.#cancelTimer();
    if (this.#isLooking || this.#isClosed || this.#dueMs === Infinity) return;
    const { clock } = this.#options;
    this.#cancelTimer = clock.after(this.#dueMs - clock.steadyMs(), () => void this.#look());
  }

  async #look(): Promise<void> {
    const { clock, find } = this.#options;
    this.#isLooking = true;
    this.#dueMs = Infinity;
    this.#beganMs = clock.steadyMs();
    const store = find();
    if (store !== undefined) this.#missingSinceMs = undefined;
    const answer = store === undefined ? this.#notConnected() : await store.observer.look();
    this.#isLooking = false;
    if (this.#isClosed) return;
    if (answer?.kind !== "Seen") this.requestBy(clock.steadyMs() + UNSEEN_RETRY_MS);
    if (answer !== undefined) this.#publish(store, answer);
    this.#arm();
  }

  #publish(store: ScaledStore | undefined, answer: Look["answer"]): void {
    this.#latest = {
      number: (this.#latest?.number ?? 0) + 1,
      store,
      answer,
      beganMs: this.#beganMs,
      endedMs: this.#options.clock.steadyMs(),
    };
    this.#options.onLook(this.#latest);
  }

  /** Undefined while that is no news. */
  #notConnected(): UnseenQueue | undefined {
    const { clock, storeKey } = this.#options;
    this.#missingSinceMs ??= clock.steadyMs();
    if (clock.steadyMs() - this.#missingSinceMs < CONNECT_GRACE_MS) return undefined;
    return {
      kind: "Unseen",
      code: "STORE_NOT_CONNECTED",
      message: `store "${storeKey}" is not connected: its conditions say why`,
    };
  }
}
