/**
 * What a decision has to remember of earlier ones: small, made of JSON, kept in status or not at all.
 *
 * Losing it is safe: with an empty memory the present replicas count as a recommendation of this moment, as they do
 * after a gap in the observations, so nothing is scaled in before a whole stabilisation window has been seen. Each list
 * is bounded; where entries are merged to keep a bound, the merged one holds replicas back for longer, never shorter.
 */

/** What was recommended, or how many replicas came or went, at a moment. */
export interface Moment {
  readonly atMs: number;
  readonly replicas: number;
}

/** What is remembered of one build. */
export interface BuildMemory {
  /** When it was last observed, and the replicas that its Deployment then asked for and was told to ask for. */
  readonly seen: { readonly atMs: number; readonly desired: number } | null;
  /** Recommendations that may still hold a scale-in back: each higher than all after it. */
  readonly highs: readonly Moment[];
  /** Recommendations that may still hold a scale-out back: each lower than all after it. */
  readonly lows: readonly Moment[];
  /** Changes of the replicas that may still exhaust a policy. */
  readonly scaleUps: readonly Moment[];
  readonly scaleDowns: readonly Moment[];
  /** Since when there is nothing to do for it; null while there is, or when it is not known. */
  readonly idleSinceMs: number | null;
}

/** @see decide */
export interface ScalingMemory {
  /** Observations that failed one after another. */
  readonly failureCount: number;
  readonly builds: Readonly<Record<string, BuildMemory>>;
}

/** What a decision starts from that remembers nothing. */
export const EMPTY_MEMORY: ScalingMemory = { failureCount: 0, builds: {} };

/** A build that was never seen. */
export const EMPTY_BUILD_MEMORY: BuildMemory = {
  seen: null,
  highs: [],
  lows: [],
  scaleUps: [],
  scaleDowns: [],
  idleSinceMs: null,
};

/** Entries of each list; more are merged. */
export const MOMENTS_MAX = 32;

/**
 * Adds a recommendation to those that hold a scale-in back.
 *
 * @param highs - As remembered.
 * @param latest - The recommendation of now.
 * @param windowMs - Entries of this age and older are forgotten.
 * @returns Descending replicas: the maximum of the window first, the latest last.
 */
export function rememberHigh(highs: readonly Moment[], latest: Moment, windowMs: number): readonly Moment[] {
  const kept = within(highs, latest.atMs, windowMs).filter(({ replicas }) => replicas > latest.replicas);
  return bound([...kept, latest], windowMs, keepOlder);
}

/**
 * Adds a recommendation to those that hold a scale-out back.
 *
 * @param lows - As remembered.
 * @param latest - The recommendation of now.
 * @param windowMs - Entries of this age and older are forgotten.
 * @returns Ascending replicas: the minimum of the window first, the latest last.
 */
export function rememberLow(lows: readonly Moment[], latest: Moment, windowMs: number): readonly Moment[] {
  const kept = within(lows, latest.atMs, windowMs).filter(({ replicas }) => replicas < latest.replicas);
  return bound([...kept, latest], windowMs, keepOlder);
}

/**
 * Adds a change of the replicas.
 *
 * @param changes - As remembered.
 * @param latest - How many replicas came (or went), and when; none for no replicas.
 * @param options - The time, and the longest period of a policy: older changes are forgotten.
 * @returns By time.
 */
export function rememberChange(
  changes: readonly Moment[],
  latest: Moment,
  { nowMs, periodMs }: { readonly nowMs: number; readonly periodMs: number },
): readonly Moment[] {
  const all = latest.replicas === 0 ? changes : [...changes, latest];
  return bound(within(all, nowMs, periodMs), periodMs, ({ replicas }, newer) => ({
    ...newer,
    replicas: replicas + newer.replicas,
  }));
}

/** The entries that are younger than the window; those of the future (a clock was set back) count as of now. */
export function within(moments: readonly Moment[], nowMs: number, windowMs: number): readonly Moment[] {
  return moments
    .map((moment) => (moment.atMs > nowMs ? { ...moment, atMs: nowMs } : moment))
    .filter(({ atMs }) => atMs > nowMs - windowMs);
}

/** What held more back counts for as long as what held less back would have. */
function keepOlder(older: Moment, newer: Moment): Moment {
  return { atMs: newer.atMs, replicas: older.replicas };
}

/** Too many entries are merged by spans of the window, so that each counts for at most one span longer. */
function bound(
  moments: readonly Moment[],
  windowMs: number,
  merge: (older: Moment, newer: Moment) => Moment,
): readonly Moment[] {
  if (moments.length <= MOMENTS_MAX) return moments;
  const spanMs = (2 * windowMs) / MOMENTS_MAX;
  const spans = new Map<number, Moment>();
  for (const moment of moments) {
    const span = Math.floor(moment.atMs / spanMs);
    const older = spans.get(span);
    spans.set(span, older === undefined ? moment : merge(older, moment));
  }
  return [...spans.values()];
}
