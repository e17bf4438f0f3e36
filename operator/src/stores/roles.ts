/**
 * The login roles of workers and gateway in the database: made, given a password and rights, retired, dropped.
 *
 * Promises: each call is one transaction and may be repeated; no password is in a statement, only what Postgres keeps of it;
 * a role has the rights that `grantStatements` names and no others. What the connection's role may not do is thrown as
 * `RoleDeniedError`, with the SQL for an administrator.
 */
import { grantStatements, quoteIdentifier } from "@memflow/engine/provision";
import type { Session, TransactionQuery } from "@memflow/engine/provision";
import { scramVerifier } from "./scram-verifier.ts";

/** The connection's role lacks a right. */
export class RoleDeniedError extends Error {
  readonly code = "ROLE_DENIED";
  /** Statements that give what is missing. */
  readonly remedy: readonly string[];

  constructor(owner: string, what: string, remedy: readonly string[], cause: unknown) {
    const sql = remedy.map((statement) => `${statement};`).join(" ");
    super(
      `role "${owner}" may not ${what}; an administrator runs: ${sql} or set provisioning.roles to Given or Shared`,
      {
        cause,
      },
    );
    this.name = "RoleDeniedError";
    this.remedy = remedy;
  }
}

/** In which database, and by whom. */
export interface RolePlace {
  readonly session: Session;
  readonly schema: string;
  /** The connection's own role: it owns the schema. */
  readonly owner: string;
  readonly mayCreateRoles: boolean;
}

/** What a role gets with its rights. */
export interface RoleLogin {
  readonly password: string;
  /** False: not before `allowLogin`. */
  readonly canLogin: boolean;
}

/**
 * Makes the role, or gives it this password, and all its rights.
 *
 * @throws {RoleDeniedError} When the connection's role may not.
 */
export async function setRole(
  place: RolePlace,
  role: string,
  { password, canLogin }: RoleLogin,
): Promise<void> {
  const verifier = await scramVerifier(password);
  const name = quoteIdentifier(role);
  await asOwner(place, `make role "${role}"`, denialRemedy(place, role), async (query) => {
    const { rows } = await query({
      text: "select 1 from pg_catalog.pg_roles where rolname = $1::text",
      values: [role],
    });
    // A role of that name can only be ours: the Store's uid is in it.
    const verb = rows.length === 0 ? "create" : "alter";
    await query({ text: `${verb} role ${name} ${canLogin ? "login" : "nologin"} password '${verifier}'` });
    await query({
      text: `comment on role ${name} is 'MemFlow: made by the operator for schema ${commentText(place.schema)}'`,
    });
    await grantAll(query, place, role);
  });
}

/** Lets a role log in that could not yet. */
export async function allowLogin(place: RolePlace, role: string): Promise<void> {
  await asOwner(place, `alter role "${role}"`, denialRemedy(place, role), async (query) => {
    await query({ text: `alter role ${quoteIdentifier(role)} login` });
  });
}

/** Gives a role the rights of a worker; a superuser, or the schema's own owner, has them. */
export async function grantRole(place: RolePlace, role: string): Promise<void> {
  if (role === place.owner) return;
  await asOwner(place, `grant rights to role "${role}"`, grantStatements({ ...place, role }), (query) =>
    grantAll(query, place, role),
  );
}

/** Takes the role's login away; its open connections stay. */
export async function retireRole(place: RolePlace, role: string): Promise<void> {
  await asOwner(place, `alter role "${role}"`, denialRemedy(place, role), async (query) => {
    await query({ text: `alter role ${quoteIdentifier(role)} nologin password null` });
  });
}

/** Drops roles that have nothing left but their names: after their schema. */
export async function dropRoles(query: TransactionQuery, roles: readonly string[]): Promise<void> {
  const { rows } = await query<{ name: string }>({
    text: "select rolname as name from pg_catalog.pg_roles where rolname = any ($1::text[]) order by rolname",
    values: [roles],
  });
  for (const { name } of rows) await query({ text: `drop role ${quoteIdentifier(name)}` });
}

async function grantAll(query: TransactionQuery, { schema, owner }: RolePlace, role: string): Promise<void> {
  for (const text of grantStatements({ schema, role, owner })) await query({ text });
}

async function asOwner(
  { session, owner }: RolePlace,
  what: string,
  remedy: readonly string[],
  work: (query: TransactionQuery) => Promise<void>,
): Promise<void> {
  try {
    await session.transaction(work);
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "42501") throw error;
    throw new RoleDeniedError(owner, what, remedy, error);
  }
}

function denialRemedy({ owner, mayCreateRoles }: RolePlace, role: string): readonly string[] {
  return mayCreateRoles
    ? [`grant ${quoteIdentifier(role)} to ${quoteIdentifier(owner)} with admin option`]
    : [`alter role ${quoteIdentifier(owner)} createrole`];
}

/** Names of schemas are lower-case letters, digits and "_": their kind says so. */
function commentText(schema: string): string {
  return schema.replaceAll(/[^a-z0-9_]/gu, "?");
}
