/**
 * What the role of a worker or of a client may do in a store: the one place that says it.
 *
 * Promises the least with which all their work is done, retention included: rows are read and written, nothing is created
 * or altered, and what the migrations and the operator keep is read only. Functions need no grant: every role may call them, and what they
 * do they do with its rights.
 *
 * @see docs/operations.md#roles-and-grants
 */
import { quoteIdentifier } from "./identifiers.ts";

/** Whom to let into which schema. */
export interface GrantOptions {
  readonly schema: string;
  readonly role: string;
  /** Who migrates the schema: what it makes later is granted as well. */
  readonly owner: string;
}

/** What the migrations and the operator keep. */
const READ_ONLY = [
  "schema_migrations",
  "event_kinds",
  "workflow_definitions",
  "workflow_definition_fence",
  "queue_builds",
  "store_settings",
] as const;

/**
 * The statements that grant it; the schema's owner, or a superuser, runs them. They may be repeated.
 *
 * @returns One statement each, without a semicolon.
 */
export function grantStatements({ schema, role, owner }: GrantOptions): readonly string[] {
  const place = quoteIdentifier(schema);
  const to = quoteIdentifier(role);
  return [
    `grant usage on schema ${place} to ${to}`,
    `grant select, insert, update, delete on all tables in schema ${place} to ${to}`,
    `revoke insert, update, delete on ${READ_ONLY.map((table) => `${place}.${table}`).join(", ")} from ${to}`,
    `alter default privileges for role ${quoteIdentifier(owner)} in schema ${place} ` +
      `grant select, insert, update, delete on tables to ${to}`,
  ];
}
