/**
 * I8: an entity equals the fold of its change log; no change is lost, and no number is given twice or left out.
 */
import { isDeepStrictEqual } from "node:util";
import { EVENT_KIND } from "../../core/events.ts";
import type { Json } from "../../core/json.ts";
import { EMPTY_MEMORY, foldMemory } from "../../core/memory-fold.ts";
import type { Memory, MemoryChange } from "../../core/memory-fold.ts";
import type { SearchData } from "../../core/search-change.ts";
import type { StoreSnapshot } from "../store-snapshot.ts";

interface EntityRow {
  entity_id: string;
  last_no: string;
  snapshot_no: string;
  stale: boolean;
  snapshot: Json;
  search: SearchData;
}

interface ChangeRow {
  entity_id: string;
  entity_no: string;
  payload: MemoryChange;
}

const ENTITIES = `select entity_id, last_no, snapshot_no, stale, snapshot, search from :schema.entities`;
const CHANGES = `
  select e.entity_id, e.entity_no, e.payload from :schema.events e where e.kind = $1 order by e.entity_id, e.entity_no`;

/** Finds logs with a gap or without an entity, and snapshots that are not the fold of their log. */
export async function checkEntities(snapshot: StoreSnapshot): Promise<string[]> {
  const entities = await snapshot.rows<EntityRow>(ENTITIES);
  const changes = await snapshot.rows<ChangeRow>(CHANGES, [EVENT_KIND.entityChanged]);
  const logs = Map.groupBy(changes, (row) => row.entity_id);
  const known = new Set(entities.map((row) => row.entity_id));
  const orphans = [...logs.keys()].filter((id) => !known.has(id));
  return [
    ...orphans.map((id) => `I8: entity "${id}" has changes and no row`),
    ...entities.flatMap((row) => checkLog(row, logs.get(row.entity_id) ?? [])),
  ];
}

/** The document of an entity as its log makes it. */
export async function readEntity(snapshot: StoreSnapshot, entityId: string): Promise<Json> {
  const text = `select e.payload from :schema.events e where e.entity_id = $1 and e.kind = $2 order by e.entity_no`;
  const changes = await snapshot.rows<Pick<ChangeRow, "payload">>(text, [entityId, EVENT_KIND.entityChanged]);
  return changes.reduce<Memory>((memory, { payload }) => foldMemory(memory, payload).memory, EMPTY_MEMORY)
    .document;
}

function checkLog(entity: EntityRow, log: readonly ChangeRow[]): string[] {
  const findings: string[] = [];
  const { entity_id: id, last_no: lastNo, snapshot_no: snapshotNo } = entity;
  if (log.length !== Number(lastNo))
    findings.push(`I8: entity "${id}" counts ${lastNo} changes, its log has ${log.length}`);
  let memory = EMPTY_MEMORY;
  let stored = EMPTY_MEMORY;
  for (const [index, { entity_no: entityNo, payload }] of log.entries()) {
    if (Number(entityNo) !== index + 1)
      findings.push(`I8: entity "${id}" has change ${entityNo} in place ${index + 1}`);
    memory = foldMemory(memory, payload).memory;
    if (entityNo === snapshotNo) stored = memory;
  }
  const { snapshot: document, search } = entity;
  if (!isDeepStrictEqual({ ...stored }, { document, search })) {
    findings.push(`I8: the snapshot of entity "${id}" as of ${snapshotNo} is not the fold of its log`);
  }
  // Readers take a snapshot that is not stale for the memory as it is.
  if (!entity.stale && snapshotNo !== lastNo)
    findings.push(
      `I8: entity "${id}" counts ${lastNo} changes, its snapshot as of ${snapshotNo} passes for fresh`,
    );
  return findings;
}
