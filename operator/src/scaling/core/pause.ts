/**
 * The annotations of a TaskQueue that pause its scaling, for a person in a hurry: KEDA's, under our prefix.
 */
import type { Pause } from "./observation.ts";

/** Annotations and their meaning. */
export const PAUSE_ANNOTATIONS = {
  "memflow.io/scaling-paused": '"true": replicas stay as they are.',
  "memflow.io/scaling-paused-replicas":
    "A number: exactly so many replicas, also if that takes away a worker that holds an attempt (it drains).",
  "memflow.io/scaling-paused-scale-in": '"true": no replica goes.',
  "memflow.io/scaling-paused-scale-out": '"true": no replica comes.',
} as const;

type PauseAnnotation = keyof typeof PAUSE_ANNOTATIONS;

/** What the annotations say, and what in them can't be read. */
export interface ReadPause {
  readonly pause: Pause;
  /** One sentence each: the annotation, its value and the remedy. */
  readonly faults: readonly string[];
}

/** As many replicas as a TaskQueue may ask for. */
const REPLICAS_MAX = 1_000;

/**
 * Reads them. A value that can't be read pauses: who wrote it wanted less to happen, not more.
 *
 * @param annotations - Of the TaskQueue.
 */
export function readPause(annotations: Readonly<Record<string, string>>): ReadPause {
  const faults: string[] = [];
  const flag = (name: PauseAnnotation): boolean => {
    const value = annotations[name];
    if (value === undefined || value === "false") return false;
    if (value !== "true")
      faults.push(`annotation "${name}" is "${value}"; write "true" or "false" (taken as "true")`);
    return true;
  };
  const all = flag("memflow.io/scaling-paused");
  const scaleIn = flag("memflow.io/scaling-paused-scale-in");
  const scaleOut = flag("memflow.io/scaling-paused-scale-out");
  const text = annotations["memflow.io/scaling-paused-replicas"];
  const replicas = text !== undefined && /^\d{1,4}$/u.test(text) ? Number(text) : null;
  const readable = replicas !== null && replicas <= REPLICAS_MAX;
  if (text !== undefined && !readable) {
    faults.push(
      `annotation "memflow.io/scaling-paused-replicas" is "${text}"; write a number from 0 to ${REPLICAS_MAX} (taken as paused)`,
    );
  }
  const frozen = all || (text !== undefined && !readable);
  return {
    pause: {
      scaleIn: frozen || scaleIn,
      scaleOut: frozen || scaleOut,
      replicas: readable ? replicas : null,
    },
    faults,
  };
}
