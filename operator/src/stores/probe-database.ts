/**
 * Looks at a Store's database: once from all sides, then again and again with one statement.
 *
 * Promises an answer within its time limits, in the words of the condition Connected; never rejects for what the database or
 * the network does.
 */
import { inspectDatabase, isTlsRefusal, Session, toStoreError } from "@memflow/engine/provision";
import type { ConnectionSource, DatabaseFacts } from "@memflow/engine/provision";
import type { ConnectionObservation } from "./core/store-observation.ts";
import type { RoleObservation } from "./core/credential-plan.ts";

/** No connection that serves. */
export type Disconnection = Exclude<ConnectionObservation, { readonly kind: "Reachable" }>;

/** What one statement tells. */
export interface ProbeAnswer {
  readonly serverVersion: string;
  readonly role: string;
  readonly mayCreateRoles: boolean;
  readonly connections: { readonly used: number; readonly max: number };
  readonly schemaExists: boolean;
  readonly roles: Readonly<Record<string, RoleObservation>>;
}

/** With the look every 5 s and the connecting below this stays under the 15 s in which an outage must be known. */
const PROBE_TIMEOUT_MS = 4_000;
export const CONNECT_TIMEOUT_MS = 3_000;
/** Postgres 15, as for workers. */
const VERSION_MIN = 150_000;

const PROBE = `
  select current_setting('server_version') as "serverVersion",
    current_user::text as role,
    (select r.rolsuper or r.rolcreaterole from pg_catalog.pg_roles r where r.rolname = current_user) as "mayCreateRoles",
    current_setting('transaction_read_only')::boolean as "readOnly",
    json_build_object(
      'used', (select coalesce(sum(d.numbackends), 0)::integer from pg_catalog.pg_stat_database d),
      'max', current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    ) as connections,
    exists (select 1 from pg_catalog.pg_namespace n where n.nspname = $1::text) as "schemaExists",
    (
      select coalesce(json_object_agg(r.rolname, json_build_object(
        'canLogin', r.rolcanlogin,
        'sessionCount', (select count(*)::integer from pg_catalog.pg_stat_activity a where a.usesysid = r.oid)
      )), '{}')
      from pg_catalog.pg_roles r
      where r.rolname = any ($2::text[])
    ) as roles`;

interface ProbeRow extends ProbeAnswer {
  readonly readOnly: boolean;
}

/** Looks at a connection that is new, or that comes back: what server, what pooler, what may it do. */
export async function inspectAccess(
  source: ConnectionSource,
): Promise<{ readonly kind: "Inspected"; readonly facts: DatabaseFacts } | Disconnection> {
  try {
    const facts = await inspectDatabase(source);
    const problem = judge(facts, source);
    if (problem !== undefined) return problem;
    if (source.direct === undefined) return { kind: "Inspected", facts };
    const direct = await inspectDatabase(source.direct);
    const directProblem = judge(direct, { ...source.direct, direct: undefined });
    return directProblem ?? { kind: "Inspected", facts };
  } catch (error) {
    return disconnectionOf(error, source);
  }
}

/** The look that is repeated. */
export async function probe(options: {
  readonly session: Session;
  readonly source: ConnectionSource;
  readonly schema: string;
  readonly roleNames: readonly string[];
}): Promise<{ readonly kind: "Answered"; readonly answer: ProbeAnswer } | Disconnection> {
  const { session, source, schema, roleNames } = options;
  try {
    const { rows } = await session.query<ProbeRow>({
      text: PROBE,
      values: [schema, roleNames],
      timeoutMs: PROBE_TIMEOUT_MS,
    });
    const [row] = rows;
    if (row === undefined) throw new Error("a statement that has one row gave none");
    const { readOnly, ...answer } = row;
    if (!readOnly) return { kind: "Answered", answer };
    return {
      kind: "ReadOnly",
      message: `database ${source.describe()} is read-only: it is a standby, or is failing over`,
    };
  } catch (error) {
    return disconnectionOf(error, source);
  }
}

/** Whether a role's password is taken. */
export async function tryLogin(
  source: ConnectionSource,
): Promise<
  { readonly kind: "Accepted" } | { readonly kind: "Refused" | "Unknown"; readonly message: string }
> {
  const session = new Session({ source, purpose: "login", connectTimeoutMs: CONNECT_TIMEOUT_MS });
  try {
    await session.query({ text: "select 1", timeoutMs: PROBE_TIMEOUT_MS });
    return { kind: "Accepted" };
  } catch (error) {
    const { loginRefused = false, message } = disconnectionOf(error, source);
    return { kind: loginRefused ? "Refused" : "Unknown", message };
  } finally {
    await session.close();
  }
}

/** What a failure means for the condition Connected. */
export function disconnectionOf(error: unknown, source: ConnectionSource): Disconnection {
  const known: Error & { readonly code?: unknown } = toStoreError(error, source);
  const { message } = known;
  if (isTlsRefusal(known)) return { kind: "TLSFailed", message };
  if (known.code === "DATABASE_READ_ONLY") return { kind: "ReadOnly", message };
  return { kind: "Unreachable", message, loginRefused: known.code === "AUTHENTICATION_FAILED" };
}

/** Judges what was found out; undefined when a Store can live there. */
export function judge(
  facts: DatabaseFacts,
  source: Pick<ConnectionSource, "describe"> & { readonly direct?: ConnectionSource | undefined },
): Disconnection | undefined {
  const target = source.describe();
  if (facts.version < VERSION_MIN) {
    const version = `${Math.floor(facts.version / 10_000)}.${facts.version % 10_000}`;
    const message = `database ${target} runs Postgres ${version}: upgrade it to 15 or newer`;
    return { kind: "UnsupportedServer", message };
  }
  if (facts.inRecovery || facts.readOnly) {
    const why = facts.inRecovery ? "a standby: connect to the primary" : "read-only for this role";
    return { kind: "ReadOnly", message: `database ${target} is ${why}` };
  }
  if (facts.pooled === "transaction" && source.direct === undefined) {
    const message = `connection ${target} is a pooler in transaction mode: give a way around it in directConnection`;
    return { kind: "PoolerInTransactionMode", message };
  }
  return undefined;
}
