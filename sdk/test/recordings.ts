/**
 * What a run left behind, in a form in which two runs of the same program can be compared: with the names of places in
 * the family instead of ids, and without times, owners and stacks.
 */
import { isDeepStrictEqual } from "node:util";
import type { Json } from "@memflow/sdk";
import { readEntity } from "@memflow/engine/testing";
import type { StoreSnapshot } from "@memflow/engine/testing";

/** One run of a family. */
export interface RecordedRun {
  /** The root's workflow id without the case's name, then the position of each start on the way down. */
  readonly place: string;
  readonly workflowName: string;
  readonly status: string;
  readonly result: Json | undefined;
  readonly failure: Json | undefined;
  readonly history: readonly RecordedEvent[];
  /** Its memory's document, which its hooks share. */
  readonly entity: Json | undefined;
}

/** One event. */
export interface RecordedEvent {
  readonly kind: string;
  readonly position: number | null;
  readonly name: string | null;
  readonly payload: Json | undefined;
}

interface RunRow {
  run_id: string;
  parent_run_id: string | null;
  entity_id: string;
  workflow_id: string;
  workflow_name: string;
  status: string;
  result: Json | null;
  failure: Json | null;
}

interface EventRow {
  run_id: string;
  kind: string;
  position: number | null;
  name: string | null;
  payload: Json | null;
}

const FAMILY = `
  with recursive family (run_id) as (
    select r.run_id from :schema.runs r where r.workflow_id = any ($1) and r.parent_run_id is null
    union
    select r.run_id from family join :schema.runs r on r.parent_run_id = family.run_id
  )
  select r.run_id, r.parent_run_id, r.entity_id, r.workflow_id, r.workflow_name, r.status, r.result, r.failure
  from family join :schema.runs r using (run_id)
  order by r.run_id`;

const HISTORIES = `
  select h.run_id, h.kind, h.position, h.name, h.payload from :schema.history h where h.run_id = any ($1::uuid[])
  order by h.run_id, h.event_no`;

/**
 * Reads what the runs of these workflow ids and all that they started left behind.
 *
 * @param caseName - Part of the case's workflow and signal ids; put out of everything that is compared.
 */
export async function recordingOf(
  snapshot: StoreSnapshot,
  workflowIds: readonly string[],
  caseName: string,
): Promise<RecordedRun[]> {
  const runs = await snapshot.rows<RunRow>(FAMILY, [workflowIds]);
  const events = await snapshot.rows<EventRow>(HISTORIES, [runs.map((run) => run.run_id)]);
  const entities = new Map<string, Json>();
  for (const { entity_id: id } of runs)
    if (!entities.has(id)) entities.set(id, await readEntity(snapshot, id));
  const places = placesOf(runs, events);
  const clean = (value: Json | null): Json | undefined =>
    value === null ? undefined : cleanValue(value, places, caseName);
  const text = (value: string | null): string | null =>
    value === null ? null : cleanText(value, places, caseName);
  return runs
    .map((run) => ({
      place: text(places.get(run.run_id) ?? run.run_id) ?? "",
      workflowName: run.workflow_name,
      status: run.status,
      result: clean(run.result),
      failure: clean(run.failure),
      entity: clean(entities.get(run.entity_id) ?? null),
      history: events
        .filter((event) => event.run_id === run.run_id)
        .map(({ kind, position, name, payload }) => ({
          kind,
          position,
          name: text(name),
          payload: clean(payload),
        })),
    }))
    .sort((a, b) => (a.place < b.place ? -1 : 1));
}

/** Two recordings of one program. */
export interface RecordingPair {
  readonly expected: readonly RecordedRun[];
  readonly actual: readonly RecordedRun[];
  /** True: its work completes in any order, so that histories are compared as sets. */
  readonly concurrent: boolean;
}

/** The runs that differ; undefined when none does. */
export function differenceOf(pair: RecordingPair): Pick<RecordingPair, "expected" | "actual"> | undefined {
  const order = pair.concurrent ? withoutOrder : (runs: readonly RecordedRun[]) => runs;
  const expected = order(pair.expected);
  const actual = order(pair.actual);
  if (isDeepStrictEqual(actual, expected)) return undefined;
  const differs = (runs: readonly RecordedRun[], others: readonly RecordedRun[]): readonly RecordedRun[] =>
    runs.filter((run) => !others.some((other) => isDeepStrictEqual(run, other)));
  return { expected: differs(expected, actual), actual: differs(actual, expected) };
}

/**
 * A hook that has answered by its signal ends beside its run: where the run is first, nobody is told of the hook's end.
 * What the hook did is compared all the same, in its own recording.
 */
function withoutOrder(runs: readonly RecordedRun[]): RecordedRun[] {
  return runs.map((run) => ({
    ...run,
    history: run.history
      .filter(({ kind, payload }) => kind !== "hook_completed" || payload !== undefined)
      .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  }));
}

/** A run's place is where its parent's history says that it was started. */
function placesOf(runs: readonly RunRow[], events: readonly EventRow[]): ReadonlyMap<string, string> {
  const started = new Map<string, { readonly by: string; readonly position: number | null }>();
  for (const { run_id: by, kind, position, payload } of events) {
    const { runId } = (payload ?? {}) as { readonly runId?: string };
    if ((kind === "child_started" || kind === "hook_started") && runId !== undefined)
      started.set(runId, { by, position });
  }
  const placeOf = (run: RunRow): string => {
    const parent = runs.find(({ run_id: id }) => id === run.parent_run_id);
    if (parent === undefined) return run.workflow_id;
    return `${placeOf(parent)}/${started.get(run.run_id)?.position ?? "?"}`;
  };
  return new Map(runs.map((run) => [run.run_id, placeOf(run)]));
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

function cleanText(text: string, places: ReadonlyMap<string, string>, caseName: string): string {
  return text.replace(UUID, (id) => places.get(id) ?? "ID").replaceAll(caseName, "CASE");
}

/** Stacks differ in their engine frames. */
function cleanValue(value: Json, places: ReadonlyMap<string, string>, caseName: string): Json {
  if (typeof value === "string") return cleanText(value, places, caseName);
  if (Array.isArray(value)) return value.map((item) => cleanValue(item as Json, places, caseName));
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value)
    .filter(([key]) => key !== "stack")
    .map(([key, member]) => [cleanText(key, places, caseName), cleanValue(member, places, caseName)]);
  return Object.fromEntries(members) as Json;
}
