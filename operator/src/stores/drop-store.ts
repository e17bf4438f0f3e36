/**
 * What is done in the database when a Store with `deletionPolicy: DropSchema` is deleted: its schema goes, and its roles.
 *
 * Promises: one transaction, which may be repeated; a schema that holds no store is never dropped, whatever its name. Knows
 * nothing of finalizers.
 */
import { quoteIdentifier } from "@memflow/engine/provision";
import type { Session } from "@memflow/engine/provision";
import { dropRoles } from "./roles.ts";

/** Somebody else's schema. */
export class ForeignSchemaError extends Error {
  readonly code = "FOREIGN_SCHEMA";

  constructor(schema: string) {
    super(
      `schema "${schema}" holds no store of MemFlow, so it is not dropped; drop it yourself if you mean it`,
    );
    this.name = "ForeignSchemaError";
  }
}

const HOLDS_STORE = `
  select c.relkind is not null as "isOurs",
    to_regprocedure(quote_ident(n.nspname) || '.search_role()') is not null as "hasSearchRole"
  from pg_catalog.pg_namespace n
  left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = 'schema_migrations'
  where n.nspname = $1::text`;

/** Many objects, each with a lock. */
const DROP_TIMEOUT_MS = 30_000;

/**
 * Drops schema and roles.
 *
 * @throws {ForeignSchemaError} When the schema is somebody else's.
 */
export async function dropStore(session: Session, schema: string, roles: readonly string[]): Promise<void> {
  await session.transaction(async (query) => {
    const { rows } = await query<{ isOurs: boolean; hasSearchRole: boolean }>({
      text: HOLDS_STORE,
      values: [schema],
    });
    const [found] = rows;
    if (found !== undefined && !found.isOurs) throw new ForeignSchemaError(schema);
    const name = quoteIdentifier(schema);
    const searchRoles: string[] = [];
    if (found?.hasSearchRole === true) {
      const answer = await query<{ role: string }>({ text: `select ${name}.search_role() as role` });
      searchRoles.push(...answer.rows.map(({ role }) => role));
    }
    await query({ text: `drop schema if exists ${name} cascade`, timeoutMs: DROP_TIMEOUT_MS });
    await dropRoles(query, [...roles, ...searchRoles]);
  });
}
