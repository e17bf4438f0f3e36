/**
 * What an administrator has to run where the connection's role may not use a schema that is there.
 *
 * Promises SQL that suffices for all that the operator does in a schema: to have the rights of whoever owns it and its tables.
 * Runs none of it.
 */
import { quoteIdentifier, toStoreError } from "@memflow/engine/provision";
import type { ConnectionSource, Session } from "@memflow/engine/provision";

interface OwnersRow {
  readonly role: string;
  readonly schemaOwner: string;
  /** Null where the schema holds no table. */
  readonly tablesOwner: string | null;
}

/** The catalogue may be read by every role. */
const OWNERS = `
  select current_user::text as role,
    pg_catalog.pg_get_userbyid(n.nspowner)::text as "schemaOwner",
    (
      select pg_catalog.pg_get_userbyid(c.relowner)::text
      from pg_catalog.pg_class c
      where c.relnamespace = n.oid and c.relkind = 'r'
      order by c.relname = 'schema_migrations' desc
      limit 1
    ) as "tablesOwner"
  from pg_catalog.pg_namespace n
  where n.nspname = $1::text`;

/** Whether a statement failed for a right that the connection's role lacks. */
export function isDenial(error: unknown, source: ConnectionSource): boolean {
  return (toStoreError(error, source) as { readonly code?: unknown }).code === "PERMISSION_DENIED";
}

/**
 * Says what is lacking, and the statements that give it.
 *
 * @returns Undefined when the schema has gone meanwhile.
 */
export async function describeDenial(
  session: Session,
  schema: string,
  error: unknown,
): Promise<string | undefined> {
  const { rows } = await session.query<OwnersRow>({ text: OWNERS, values: [schema] });
  const [owners] = rows;
  if (owners === undefined) return undefined;
  const sql = remedyOf(schema, owners).map((statement) => `${statement};`);
  const answer = error instanceof Error ? error.message : String(error);
  return (
    `role "${owners.role}" may not use schema "${schema}" (${answer}); an administrator runs: ${sql.join(" ")} ` +
    "or let the connection's Secret name the role that owns the schema"
  );
}

function remedyOf(
  schema: string,
  { role, schemaOwner, tablesOwner }: OwnersRow,
): readonly [string, ...string[]] {
  const name = quoteIdentifier(role);
  const grants = [...new Set([schemaOwner, tablesOwner ?? schemaOwner])]
    .filter((owner) => owner !== role)
    .map((owner) => `grant ${quoteIdentifier(owner)} to ${name}`);
  const [first, ...others] = grants;
  if (first !== undefined) return [first, ...others];
  // An owner can lose rights too, and can be given them again.
  const place = quoteIdentifier(schema);
  return [
    `grant all on schema ${place} to ${name}`,
    `grant all on all tables in schema ${place} to ${name}`,
    `grant all on all functions in schema ${place} to ${name}`,
  ];
}
