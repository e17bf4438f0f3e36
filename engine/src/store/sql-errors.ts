/**
 * What an error of the database means: whether to try again, whom to blame, and which of our classes tells the user.
 *
 * Promises to judge by SQLSTATE and socket code, not by the text of a message; only `pg`'s refusal of TLS has nothing
 * else. Does not retry anything itself.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
import { ConnectionError, MemFlowError, SchemaError } from "../core/errors.ts";
import type { ConnectionSource } from "./connection-source.ts";

/**
 * - `transient`: the same statement may succeed on another try or connection.
 * - `unique`: a unique key stands already.
 * - `permission`: the role may not do this.
 * - `schema`: a table, function or schema is missing.
 * - `data`: a value that Postgres refuses; one row is guilty.
 * - `other`: none of these; trying again would not help.
 */
export type SqlErrorKind = "transient" | "unique" | "permission" | "schema" | "data" | "other";

/** Whole SQLSTATEs first, then classes (their first two characters). */
const KINDS: ReadonlyMap<string, SqlErrorKind> = new Map<string, SqlErrorKind>([
  ["08", "transient"], // connection exception
  ["53", "transient"], // insufficient resources, too many connections
  ["40001", "transient"], // serialization failure
  ["40003", "transient"], // statement completion unknown
  ["40P01", "transient"], // deadlock
  ["55P03", "transient"], // lock_timeout
  ["57014", "transient"], // statement_timeout, or canceled by an administrator
  ["57P01", "transient"], // administrator shutdown
  ["57P02", "transient"], // crash shutdown
  ["57P03", "transient"], // cannot connect now: starting up or in recovery
  ["57P05", "transient"], // idle session timeout
  ["25P03", "transient"], // idle_in_transaction_session_timeout
  ["25P04", "transient"], // transaction_timeout
  ["25006", "transient"], // read-only: the primary has just become a standby
  ["58000", "transient"], // system error outside Postgres
  ["58030", "transient"], // I/O error
  ["23505", "unique"],
  ["42501", "permission"],
  ["28", "permission"], // role or password
  ["42P01", "schema"], // undefined table
  ["42883", "schema"], // undefined function
  ["42703", "schema"], // undefined column
  ["3F", "schema"], // invalid schema name
  ["22", "data"], // numeric range, bad encoding, invalid JSON, ...
  ["54", "data"], // program limits: row too big, too many arguments
  ["23502", "data"], // not null
  ["23503", "data"], // foreign key
  ["23514", "data"], // check
]);

/** Codes of sockets and name look-ups after which another try may find the server. */
const TRANSIENT_SOCKET_CODES: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "EAI_AGAIN",
  "ENOTFOUND",
  "ENOENT",
  "EADDRNOTAVAIL",
  "EMFILE",
  "ENFILE",
]);

const CONNECTION_KINDS: Readonly<Record<string, SqlErrorKind>> = {
  DATABASE_UNREACHABLE: "transient",
  COMMIT_UNKNOWN: "transient",
  DATABASE_READ_ONLY: "transient",
  AUTHENTICATION_FAILED: "permission",
  PERMISSION_DENIED: "permission",
};

/** SQLSTATEs that our own SQL raises: class MF, which neither SQL nor Postgres uses. */
export const OWN_SQLSTATES = {
  /** Runs that end have messages to apply first; the detail lists their ids. */
  runsBehind: "MF001",
  /** The role of searches is not there yet. */
  searchNotPrepared: "MF002",
  searchTooLarge: "MF003",
  /** A leader that another one has followed wrote to the schedules, or said which builds a queue has. */
  leaderFollowed: "MF010",
} as const;

/**
 * Says what to do about an error that came from a session or from `pg`.
 *
 * @param error - Anything that was thrown.
 * @returns Its kind; `other` for what is no error of a database.
 */
export function classifySqlError(error: unknown): SqlErrorKind {
  if (error instanceof ConnectionError) return CONNECTION_KINDS[error.code] ?? "other";
  if (error instanceof SchemaError) return "schema";
  const code = codeOf(error);
  if (code === undefined) return "other";
  if (isStalePlan(error)) return "transient";
  if (TRANSIENT_SOCKET_CODES.has(code)) return "transient";
  if (code.length !== 5) return "other";
  return KINDS.get(code) ?? KINDS.get(code.slice(0, 2)) ?? "other";
}

/** The SQLSTATE of an error of Postgres, or the code of a socket's error. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/**
 * True when a prepared statement does not fit the database any more: a migration changed what it returns, or a pooler
 * gave it to another backend. On a new connection it is prepared anew.
 */
export function isStalePlan(error: unknown): boolean {
  const code = codeOf(error);
  if (code === "26000") return true;
  // The SQLSTATE is "feature not supported", which many things are; the routine is this one only.
  return code === "0A000" && (error as { readonly routine?: unknown }).routine === "RevalidateCachedQuery";
}

/**
 * The runs that a flush wanted to end although messages wait that they have not applied: nothing of the flush stands.
 *
 * @param error - What the flush threw.
 * @returns Their ids; undefined when it failed for another reason.
 */
export function runsBehind(error: unknown): readonly string[] | undefined {
  if (codeOf(error) !== OWN_SQLSTATES.runsBehind) return undefined;
  const { detail } = error as { readonly detail?: unknown };
  return typeof detail === "string" && detail !== "" ? detail.split(",") : [];
}

/**
 * Turns a failure to connect or to use the schema into an error that names the database and the remedy.
 *
 * @param error - What `pg` or a socket threw.
 * @param source - Where it happened.
 * @returns A ConnectionError or SchemaError with `error` as its cause; an error that needs no translation (a unique
 *   key, bad data, one of ours) comes back as it is.
 */
export function toStoreError(error: unknown, source: ConnectionSource): Error {
  if (error instanceof MemFlowError) return error;
  const target = source.describe();
  const code = codeOf(error) ?? "";
  const known = CONNECTION_PROBLEMS[code] ?? CONNECTION_PROBLEMS[code.slice(0, 2)];
  if (known !== undefined && (code.length === 5 || TRANSIENT_SOCKET_CODES.has(code))) {
    return new ConnectionError(known.code, {
      message: `${known.say(target)} (${code})`,
      target,
      cause: error,
    });
  }
  if (classifySqlError(error) === "schema") return missingSchema(error, target);
  if (error instanceof Error && isTlsRefusal(error)) {
    const message = `database ${target} refused or failed TLS; check ssl in the connection options: ${error.message}`;
    return new ConnectionError("BAD_CONNECTION", { message, target, cause: error });
  }
  return error instanceof Error
    ? error
    : new Error(`database ${target} failed: ${String(error)}`, { cause: error });
}

/** The connection broke or went silent: nothing is known about the statement that was under way. */
export function connectionLost(source: ConnectionSource, what: string, cause?: unknown): ConnectionError {
  const target = source.describe();
  return new ConnectionError("DATABASE_UNREACHABLE", {
    message: `connection to database ${target} ${what}; it is opened again with the next statement`,
    target,
    ...(cause === undefined ? {} : { cause }),
  });
}

interface ConnectionProblem {
  readonly code: ConstructorParameters<typeof ConnectionError>[0];
  say(target: string): string;
}

const unreachable = (remedy: string): ConnectionProblem => ({
  code: "DATABASE_UNREACHABLE",
  say: (target) => `database ${target} cannot be reached: ${remedy}`,
});

const refused = (remedy: string): ConnectionProblem => ({
  code: "AUTHENTICATION_FAILED",
  say: (target) => `database ${target} refused the role: ${remedy}`,
});

const CONNECTION_PROBLEMS: Readonly<Record<string, ConnectionProblem>> = {
  ECONNREFUSED: unreachable("nothing listens there; start Postgres or correct host and port"),
  ENOENT: unreachable("its socket is not there; start Postgres or correct the socket's folder"),
  ENOTFOUND: unreachable("the host name is unknown; correct the host"),
  EAI_AGAIN: unreachable("the host name could not be looked up; check DNS"),
  ETIMEDOUT: unreachable("no answer; check host, port and firewalls"),
  EHOSTUNREACH: unreachable("no route to the host; check the network"),
  ENETUNREACH: unreachable("no route to its network; check the network"),
  ECONNRESET: unreachable("the connection was cut; is this a Postgres port, and is TLS expected?"),
  EPIPE: unreachable("the connection was cut; check the server's log"),
  "53300": unreachable("all its connections are taken; raise max_connections or use fewer processes"),
  "57P01": unreachable("it is shutting down"),
  "57P02": unreachable("it crashed and restarts"),
  "57P03": unreachable("it is starting up"),
  "08": unreachable("the connection failed; check the server's log"),
  "28P01": refused("the password is wrong; correct user and password in the connection"),
  "28000": refused("it may not enter; correct the user or the server's pg_hba.conf"),
  "25006": {
    code: "DATABASE_READ_ONLY",
    say: (target) =>
      `database ${target} is read-only; connect to the primary, or turn default_transaction_read_only off`,
  },
  "3D000": {
    code: "BAD_CONNECTION",
    say: (target) => `database ${target} does not exist on its server; create it or correct the name`,
  },
  "42501": {
    code: "PERMISSION_DENIED",
    say: (target) => `the role lacks a right in database ${target}; let an administrator grant it`,
  },
};

function missingSchema(error: unknown, target: string): SchemaError {
  const detail = error instanceof Error ? error.message : String(error);
  return new SchemaError("SCHEMA_MISSING", {
    message:
      `the store's schema in database ${target} is missing or incomplete (${detail}); ` +
      "start a Client or Worker whose role may create it, or provision the Store",
    cause: error,
  });
}

/**
 * True when the server could not be verified, or does not speak TLS; also of the error that `toStoreError` made of it.
 *
 * `pg` and node:tls report these without a code of their own or with one that starts with ERR_TLS or CERT.
 */
export function isTlsRefusal(error: unknown): boolean {
  if (error instanceof ConnectionError) return error.code === "BAD_CONNECTION" && isTlsRefusal(error.cause);
  if (!(error instanceof Error)) return false;
  const code = codeOf(error) ?? "";
  return (
    /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code) || /\bSSL\b/.test(error.message)
  );
}
