/**
 * I2: an acknowledged start, signal or timer is never lost, and a signal is never doubled.
 */
import { isDeepStrictEqual } from "node:util";
import { EVENT_KIND } from "../../core/events.ts";
import type { Json } from "../../core/json.ts";
import type { StoreSnapshot } from "../store-snapshot.ts";

/** A signal whose send was acknowledged, as all that were sent to this run under this id. */
export interface AcknowledgedSignal {
  readonly runId: string;
  readonly signalId: string;
  readonly data: Json;
}

/** What clients were told. */
export interface Acknowledgements {
  /** Run ids. */
  readonly starts?: readonly string[];
  /** Every signal that was sent; one that was not acknowledged must not be in here, nor have reached its run. */
  readonly signals?: readonly AcknowledgedSignal[];
}

/** A timer may be late by what a takeover or a restart of the database takes. */
const OVERDUE_MS = 10_000;

const KNOWN_RUNS = `select r.run_id from :schema.runs r where r.run_id = any ($1::uuid[])`;

/** Messages of a run that was ended from outside go with its inbox. */
const RECEIVED = `
  select r.run_id, r.status in ('canceled', 'terminated') as stopped, received.name, received.data
  from :schema.runs r
  left join lateral (
    select e.name, e.payload -> 'data' as data from :schema.events e where e.run_id = r.run_id and e.kind = $2
    union all
    select i.name, i.payload from :schema.inbox i where i.run_id = r.run_id and i.kind = $2
  ) received on true
  where r.run_id = any ($1::uuid[])`;

const OVERDUE = `
  select r.run_id, r.wake_at
  from :schema.runs r
  where r.status = 'running' and r.problem is null
    and r.wake_at < clock_timestamp() - make_interval(secs => $1::double precision / 1000)`;

/** Finds starts and signals that were acknowledged and are not there, and timers that are long due and did not fire. */
export async function checkAcknowledged(
  snapshot: StoreSnapshot,
  { starts = [], signals = [] }: Acknowledgements,
): Promise<string[]> {
  const runIds = [...new Set([...starts, ...signals.map(({ runId }) => runId)])];
  const known = await snapshot.rows<{ run_id: string }>(KNOWN_RUNS, [runIds]);
  const stand = new Set(known.map((row) => row.run_id));
  const missing = runIds.filter((runId) => !stand.has(runId));
  const overdue = await snapshot.rows<{ run_id: string; wake_at: Date }>(OVERDUE, [OVERDUE_MS]);
  return [
    ...missing.map((runId) => `I2: the start of run "${runId}" was acknowledged and the run is not there`),
    ...(await checkSignals(snapshot, signals)),
    ...overdue.map(
      ({ run_id: runId, wake_at: at }) =>
        `I2: run "${runId}" was to wake at ${at.toISOString()} and sleeps on`,
    ),
  ];
}

async function checkSignals(
  snapshot: StoreSnapshot,
  signals: readonly AcknowledgedSignal[],
): Promise<string[]> {
  const runIds = [...new Set(signals.map(({ runId }) => runId))];
  const received = await snapshot.rows<{
    run_id: string;
    stopped: boolean;
    name: string | null;
    data: Json | null;
  }>(RECEIVED, [runIds, EVENT_KIND.signalReceived]);
  const findings: string[] = [];
  for (const signal of signals) {
    const { runId, signalId, data } = signal;
    const sent = signals.filter((other) => isDeepStrictEqual(other, signal)).length;
    const rows = received.filter((row) => row.run_id === runId);
    const found = rows.filter((row) => row.name === signalId && isDeepStrictEqual(row.data, data)).length;
    if (found === sent || (found < sent && rows[0]?.stopped === true)) continue;
    findings.push(
      `I2: signal "${signalId}" ${JSON.stringify(data)} was sent ${sent} times to run "${runId}" and is there ${found} times`,
    );
  }
  return [...new Set(findings)];
}
