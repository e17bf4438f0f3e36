/**
 * Makes a schema ready for clients and workers.
 *
 * Promises that an up-to-date schema is neither written nor asked for DDL rights, so that a worker's least role passes;
 * that a missing or older one is migrated where the role may; and that each fault is one typed error.
 */
import { assertSchemaName } from "./identifiers.ts";
import { migrate } from "./migrator.ts";
import type { ConnectionSource } from "./connection-source.ts";
import { assertUsable } from "./self-test.ts";

const ready = new Map<string, Promise<ConnectionSource>>();

/** Tests the connection and migrates the schema where needed; once per process, connection and schema. */
export async function provision(source: ConnectionSource, schema: string): Promise<ConnectionSource> {
  assertSchemaName(schema);
  const key = `${source.key} ${schema}`;
  let pending = ready.get(key);
  if (pending === undefined) {
    pending = provisionNow(source, schema);
    ready.set(key, pending);
    pending.catch(() => ready.delete(key));
  }
  return await pending;
}

/** Forgets what was found ready: a schema may be dropped and made anew, as tests do. */
export function forgetProvisioned(): void {
  ready.clear();
}

async function provisionNow(source: ConnectionSource, schema: string): Promise<ConnectionSource> {
  const usable = await assertUsable(source);
  await migrate({ source: usable.source, schema });
  return usable.source;
}
