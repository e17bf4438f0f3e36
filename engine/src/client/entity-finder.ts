/**
 * Finds entities by their type and by conditions on their documents.
 *
 * Promises the last committed state of each entity: snapshots that are up to date are matched where they lie, those that
 * lag are folded here and matched by the very same predicate in Postgres. Newest first. Reads a bounded page at a time.
 */
import type { Condition } from "../core/entity-condition.ts";
import type { Json } from "../core/json.ts";
import type { Memory } from "../core/memory-fold.ts";
import { jsonbArray } from "../store/binary-arrays.ts";
import { quoteIdentifier } from "../store/identifiers.ts";
import type { Statement } from "../store/session.ts";
import { predicateOf } from "./entity-predicate.ts";

/** What to look for. */
export interface EntitySearch {
  readonly entityType: string;
  readonly conditions: readonly Condition[];
  readonly limit: number;
  /** Matches to leave out, from the newest on. */
  readonly offset: number;
}

/** An entity that was found, and its run. */
export interface FoundEntity {
  readonly runId: string;
  readonly workflowId: string;
  /** The status of its run. */
  readonly status: string;
  readonly document: Json;
}

/** How the finder reads. */
export interface EntityReader {
  readonly schema: string;
  rows<Row extends object>(statement: Statement): Promise<Row[]>;
  memories(entityIds: readonly string[]): Promise<ReadonlyMap<string, Memory>>;
}

interface CandidateRow {
  entity_id: string;
  workflow_id: string;
  status: string;
  stale: boolean;
  document: string | null;
}

/** Candidates that are read at once. */
const PAGE_ROWS = 100;
/** Documents that are folded at once: each comes with its log behind the snapshot. */
const FOLD_ROWS = 20;
const BEFORE_ALL = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/** The matches, newest first, `offset` of them left out. */
export async function findEntities(
  reader: EntityReader,
  search: EntitySearch,
): Promise<readonly FoundEntity[]> {
  const found: FoundEntity[] = [];
  let skip = search.offset;
  let before = BEFORE_ALL;
  while (found.length < search.limit) {
    const limit = Math.min(PAGE_ROWS, skip + search.limit - found.length);
    const rows = await reader.rows<CandidateRow>(
      candidatesStatement(reader.schema, { ...search, before, limit }),
    );
    const matches = await matchesOf(reader, rows, search.conditions);
    found.push(...matches.slice(skip, skip + search.limit - found.length));
    skip = Math.max(0, skip - matches.length);
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit) break;
    before = last.entity_id;
  }
  return found;
}

/** One page of candidates: what matches by its snapshot, and what must be folded first. */
export function candidatesStatement(
  schema: string,
  page: {
    readonly entityType: string;
    readonly conditions: readonly Condition[];
    readonly before: string;
    readonly limit: number;
  },
): Statement {
  const quoted = quoteIdentifier(schema);
  const predicate = predicateOf(page.conditions, { document: "e.snapshot", firstParameter: 4 });
  // Without a name: it is planned anew with its parameters, which is what lets it use the index of a path.
  return {
    text: `
    with candidates as (
      (
        select e.entity_id from ${quoted}.entities e
        where e.entity_type = $1 and e.entity_id < $2::uuid and not e.stale and ${predicate.text}
        order by e.entity_id desc
        limit $3
      )
      union all
      (
        select e.entity_id from ${quoted}.entities e
        where e.entity_type = $1 and e.entity_id < $2::uuid and e.stale
        order by e.entity_id desc
        limit $3
      )
    )
    select e.entity_id, r.workflow_id, r.status, e.stale, case when not e.stale then e.snapshot::text end as document
    from (select entity_id from candidates order by entity_id desc limit $3) page
    join ${quoted}.entities e on e.entity_id = page.entity_id
    join ${quoted}.runs r on r.run_id = page.entity_id
    order by e.entity_id desc`,
    values: [page.entityType, page.before, page.limit, ...predicate.values],
  };
}

/** The candidates that match, with their documents. */
async function matchesOf(
  reader: EntityReader,
  rows: readonly CandidateRow[],
  conditions: readonly Condition[],
): Promise<FoundEntity[]> {
  const stale = rows.filter((row) => row.stale).map((row) => row.entity_id);
  const folded =
    stale.length === 0 ? new Map<string, Json>() : await foldedMatches(reader, stale, conditions);
  return rows.flatMap((row) => {
    const document = row.document === null ? folded.get(row.entity_id) : (JSON.parse(row.document) as Json);
    if (document === undefined) return [];
    return [{ runId: row.entity_id, workflowId: row.workflow_id, status: row.status, document }];
  });
}

async function foldedMatches(
  reader: EntityReader,
  entityIds: readonly string[],
  conditions: readonly Condition[],
): Promise<ReadonlyMap<string, Json>> {
  const matches = new Map<string, Json>();
  for (let start = 0; start < entityIds.length; start += FOLD_ROWS) {
    const memories = [...(await reader.memories(entityIds.slice(start, start + FOLD_ROWS)))];
    const documents = memories.map(([, { document }]) => JSON.stringify(document));
    for (const place of await placesOfMatches(reader, documents, conditions)) {
      const [id, memory] = memories[place] ?? [];
      if (id !== undefined && memory !== undefined) matches.set(id, memory.document);
    }
  }
  return matches;
}

/** Which of the documents, given as JSON text, match. */
async function placesOfMatches(
  reader: EntityReader,
  documents: readonly string[],
  conditions: readonly Condition[],
): Promise<readonly number[]> {
  if (conditions.length === 0) return [...documents.keys()];
  const predicate = predicateOf(conditions, { document: "m.document", firstParameter: 2 });
  const rows = await reader.rows<{ place: number }>({
    text: `
    select m.place::integer - 1 as place from unnest($1::jsonb[]) with ordinality as m (document, place)
    where ${predicate.text}`,
    values: [jsonbArray(documents), ...predicate.values],
  });
  return rows.map(({ place }) => place);
}
