/**
 * A Store as scaling sees it, whose load a test sets. What a database says of a queue is tested with a database, beside the
 * observer.
 */
import type { QueueLoad, WorkerLoad } from "../../scaling/core/queue-observation.ts";
import type { SeenStore } from "../../scaling/observe.ts";
import type { UnseenQueue } from "../../scaling/core/observation.ts";
import type { ScaledStore } from "../store-watch.ts";

const NOTHING: QueueLoad = { kind: "Seen", waiting: [], workers: [] };

/** Answers at once; `gate` holds its answers back. */
export class FakeStore implements ScaledStore {
  lookCount = 0;
  /** Looks that have no answer yet. */
  lookingCount = 0;
  away: UnseenQueue | undefined;
  /** A real one, which is asked instead. */
  behind: ScaledStore | undefined;
  gate: Promise<void> = Promise.resolve();
  loadOf: (queueName: string) => QueueLoad = () => NOTHING;
  readonly cordoned: (readonly string[])[] = [];
  readonly lifted: string[] = [];
  onCordon: (workerIds: readonly string[]) => void = () => {};
  onLift: () => void = () => {};
  /** Called after each answer. */
  onAnswer = (): void => {};
  readonly #ears = new Map<string, Set<() => void>>();

  readonly observer: ScaledStore["observer"] = {
    look: () => this.#look(),
    cordon: async (workerIds) => {
      this.cordoned.push(workerIds);
      this.onCordon(workerIds);
      await this.behind?.observer.cordon(workerIds);
    },
    liftCordons: async (queue) => {
      this.lifted.push(queue);
      this.onLift();
      await this.behind?.observer.liftCordons(queue);
    },
  };

  onWork(queueName: string, wake: () => void): () => void {
    if (this.behind !== undefined) return this.behind.onWork(queueName, wake);
    const ears = this.#ears.get(queueName) ?? new Set();
    this.#ears.set(queueName, ears.add(wake));
    return () => void ears.delete(wake);
  }

  /** How many listen for a queue. */
  earCount(queueName: string): number {
    return this.#ears.get(queueName)?.size ?? 0;
  }

  /** Work was started. */
  wake(queueName: string): void {
    for (const wake of this.#ears.get(queueName) ?? []) wake();
  }

  async #look(): Promise<SeenStore | UnseenQueue> {
    this.lookCount++;
    this.lookingCount++;
    await this.gate;
    const { away, loadOf } = this;
    const answer = (await this.behind?.observer.look()) ?? away ?? { kind: "Seen", queue: loadOf };
    // Once whoever asked has done with the answer what is done at once.
    setImmediate(() => {
      this.lookingCount--;
      this.onAnswer();
    });
    return answer;
  }
}

/** A load: what waits for any build, and what pods hold. */
export function loadOf(
  {
    ready = 0,
    ...waiting
  }: { readonly ready?: number; readonly oldestAgeMs?: number; readonly nextTimerInMs?: number },
  holding: Readonly<Record<string, number>> = {},
): QueueLoad {
  const isThere = ready > 0 || waiting.nextTimerInMs !== undefined;
  const part = { buildId: null, unserved: 0, oldestAgeMs: ready > 0 ? 0 : null, nextTimerInMs: null };
  return {
    kind: "Seen",
    waiting: isThere ? [{ ...part, ready, ...waiting }] : [],
    workers: Object.entries(holding).map(([pod, attempts]) => workerOf(pod, attempts)),
  };
}

/** The id of a pod's worker. */
export function workerIdOf(pod: string): string {
  return `worker-of-${pod}`;
}

function workerOf(pod: string, attempts: number): WorkerLoad {
  return {
    workerId: workerIdOf(pod),
    host: pod,
    buildId: null,
    busyRuns: 0,
    attempts,
    ownedRuns: 0,
    nextTimerInMs: null,
  };
}
