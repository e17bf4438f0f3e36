/**
 * What a Lease says, and what may be written into it: the rules of the election, without its doing.
 *
 * Pure. Nobody's wall clock is believed: a standby counts from when it saw the lease change, by its own steady clock, and
 * the leader from before it sent what the server accepted. So, as long as clocks run about equally fast, the leader's time is
 * over before anybody else's waiting is.
 */
import { microTime } from "./micro-time.ts";
import type { Lease } from "./resource-type.ts";
import type { ObjectName } from "./wire.ts";

/** Who is to hold the lease, and since when. */
export interface HolderRecord {
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly wallTime: Date;
}

/** A state of the lease, and when it was first seen. */
export interface Observation {
  /** Undefined: nobody holds it. */
  readonly holder: string | undefined;
  readonly resourceVersion: string;
  /** By the observer's steady clock. */
  readonly sinceMs: number;
  readonly durationMs: number;
}

/**
 * What is known after a look at the lease.
 *
 * @param previous - What was known before: the same state is as old as it was.
 */
export function observe(lease: Lease, previous: Observation | undefined, nowMs: number): Observation {
  const resourceVersion = lease.metadata?.resourceVersion ?? "";
  if (previous?.resourceVersion === resourceVersion) return previous;
  const { holderIdentity, leaseDurationSeconds = 0 } = lease.spec ?? {};
  return {
    holder: holderIdentity === "" ? undefined : holderIdentity,
    resourceVersion,
    sinceMs: nowMs,
    durationMs: leaseDurationSeconds * 1000,
  };
}

/** How long another one must be let hold what was observed; 0 when the lease may be taken. */
export function othersTimeMs(observation: Observation, identity: string, nowMs: number): number {
  const { holder, sinceMs, durationMs } = observation;
  if (holder === undefined || holder === identity) return 0;
  return Math.max(0, sinceMs + durationMs - nowMs);
}

/**
 * A lease that was not there.
 *
 * Its count of transitions begins at the minutes since 1970: it fences writes, and must not begin anew at 0 when somebody
 * deleted the lease.
 */
export function newLease({ name, namespace }: ObjectName, record: HolderRecord): Lease {
  const leaseTransitions = Math.floor(record.wallTime.getTime() / 60_000);
  return {
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: { ...holding(record), acquireTime: microTime(record.wallTime), leaseTransitions },
  };
}

/** The lease, taken: a new term, counted as a transition even when it was ours, so that no two terms have one token. */
export function takenLease(lease: Lease, record: HolderRecord): Lease {
  const { leaseTransitions = 0 } = lease.spec ?? {};
  const acquireTime = microTime(record.wallTime);
  return {
    ...lease,
    spec: { ...lease.spec, ...holding(record), acquireTime, leaseTransitions: leaseTransitions + 1 },
  };
}

/** The lease, held on to. */
export function renewedLease(lease: Lease, record: HolderRecord): Lease {
  return { ...lease, spec: { ...lease.spec, ...holding(record) } };
}

/** The lease, given back: whoever looks next may take it at once. */
export function releasedLease(lease: Lease, wallTime: Date): Lease {
  const { holderIdentity: _holderIdentity, ...spec } = lease.spec ?? {};
  return { ...lease, spec: { ...spec, leaseDurationSeconds: 1, renewTime: microTime(wallTime) } };
}

function holding({ identity, leaseDurationMs, wallTime }: HolderRecord): NonNullable<Lease["spec"]> {
  return {
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
    renewTime: microTime(wallTime),
  };
}
