/**
 * Watches a worker pass its crash points, and stops it at one of them.
 *
 * Promises that a crash comes at the named point and nowhere else, and that what the worker's code still does in the
 * same turn finds everything gone: its connections, its runs, its timers. Not the death of a process: tests that need
 * that kill one.
 */
import { setCrashHook } from "../crash-points.ts";
import type { CrashPoint } from "../crash-points.ts";
import type { EngineWorker } from "../worker/worker.ts";

/** Where to stop: at the n-th time that the worker passes a point, counted from 1. */
export interface StopPlace {
  readonly point: CrashPoint;
  readonly occurrence: number;
  /** `hand over`: a shutdown without grace begins there. */
  readonly how: "crash" | "hand over";
}

/** What was seen of one worker. */
export interface CrashObserver {
  /** How often each point was passed. */
  readonly counts: ReadonlyMap<CrashPoint, number>;
  /** Settles when the worker has stopped at the place. */
  readonly stopped: Promise<void>;
  /** Looks away. */
  stop(): void;
}

/** The hook is one per process: it serves every observed worker, by id. */
const observers = new Map<string, (point: CrashPoint) => void>();

/** Observes a worker from now on; with a `place`, stops it there. */
export function observeCrashPoints(worker: EngineWorker, place?: StopPlace): CrashObserver {
  const { workerId } = worker.status;
  const counts = new Map<CrashPoint, number>();
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  observers.set(workerId, (point) => {
    const count = (counts.get(point) ?? 0) + 1;
    counts.set(point, count);
    if (point !== place?.point || count !== place.occurrence) return;
    observers.delete(workerId);
    resolve(stopWorker(worker, place.how));
  });
  setCrashHook((point, id) => observers.get(id)?.(point));
  return {
    counts,
    stopped,
    stop: () => {
      observers.delete(workerId);
      if (observers.size === 0) setCrashHook(undefined);
    },
  };
}

async function stopWorker(worker: EngineWorker, how: StopPlace["how"]): Promise<void> {
  if (how === "crash") worker.crash();
  else await worker.shutdown({ graceMs: 0 });
}
