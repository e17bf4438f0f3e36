/**
 * Watches a worker pass its crash points, and crashes it at one of them.
 *
 * Promises that a crash comes at the named point and nowhere else, and that what the worker's code still does in the
 * same turn finds everything gone: its connections, its runs, its timers. Not the death of a process: tests that need
 * that kill one.
 */
import { setCrashHook } from "../crash-points.ts";
import type { CrashPoint } from "../crash-points.ts";
import type { EngineWorker } from "../worker/worker.ts";

/** Where to crash: at the n-th time that the worker passes a point, counted from 1. */
export interface CrashPlace {
  readonly point: CrashPoint;
  readonly occurrence: number;
}

/** What was seen of one worker. */
export interface CrashObserver {
  /** How often each point was passed. */
  readonly counts: ReadonlyMap<CrashPoint, number>;
  /** Settles when the worker has crashed. */
  readonly crashed: Promise<void>;
  /** Looks away. */
  stop(): void;
}

/** The hook is one per process: it serves every observed worker, by id. */
const observers = new Map<string, (point: CrashPoint) => void>();

/** Observes a worker from now on; with a `place`, crashes it there. */
export function observeCrashPoints(worker: EngineWorker, place?: CrashPlace): CrashObserver {
  const { workerId } = worker.status;
  const counts = new Map<CrashPoint, number>();
  const { promise: crashed, resolve } = Promise.withResolvers<void>();
  observers.set(workerId, (point) => {
    const count = (counts.get(point) ?? 0) + 1;
    counts.set(point, count);
    if (point !== place?.point || count !== place.occurrence) return;
    observers.delete(workerId);
    worker.crash();
    resolve();
  });
  setCrashHook((point, id) => observers.get(id)?.(point));
  return {
    counts,
    crashed,
    stop: () => {
      observers.delete(workerId);
      if (observers.size === 0) setCrashHook(undefined);
    },
  };
}
