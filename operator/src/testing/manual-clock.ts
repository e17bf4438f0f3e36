/** A clock that a test turns by hand: nothing is due until it is. */
import type { Clock } from "../kube/clock.ts";
import { Bell } from "./bell.ts";

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** Begins at 2026-01-01T00:00:00Z, with a steady clock at 0. */
const WALL_ORIGIN_MS = Date.UTC(2026, 0, 1);

/** Stands still until `advance` is called. */
export class ManualClock implements Clock {
  readonly #timers = new Set<Timer>();
  readonly #bell = new Bell();
  #nowMs = 0;

  steadyMs(): number {
    return this.#nowMs;
  }

  wallTime(): Date {
    return new Date(WALL_ORIGIN_MS + this.#nowMs);
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    this.#bell.ring();
    return () => {
      this.#timers.delete(timer);
      this.#bell.ring();
    };
  }

  /** How long until the timers that are set, the nearest first. */
  get pendingMs(): readonly number[] {
    return [...this.#timers].map(({ dueMs }) => dueMs - this.#nowMs).toSorted((left, right) => left - right);
  }

  /** Waits until a timer is set that is due after exactly so long. */
  async untilPending(delayMs: number): Promise<void> {
    await this.#bell.until(() => this.pendingMs.includes(delayMs));
  }

  /** Waits until exactly these timers are set: what else was under way has come to its end. */
  async untilOnlyPending(...delaysMs: readonly number[]): Promise<void> {
    await this.#bell.until(() => this.pendingMs.join() === delaysMs.join());
  }

  /** Lets time pass, and calls back what becomes due, in its order, each at its time. */
  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      const [next] = [...this.#timers].toSorted((left, right) => left.dueMs - right.dueMs);
      if (!next || next.dueMs > endMs) break;
      this.#timers.delete(next);
      this.#nowMs = next.dueMs;
      next.callback();
    }
    this.#nowMs = endMs;
  }

  /** Time that passes unnoticed, as for a process that was stopped: timers that became due are called only by the next `advance`. */
  jump(durationMs: number): void {
    this.#nowMs += durationMs;
  }
}
