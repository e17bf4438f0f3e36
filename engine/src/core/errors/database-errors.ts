/**
 * What is wrong with the database, its connection or its schema, said once at start rather than in every query.
 *
 * Does not read SQLSTATEs: the store maps those to these classes. Who throws one has taken the password out.
 */
import { MemFlowError } from "./memflow-error.ts";

/** What keeps MemFlow from working with the database. */
export type ConnectionErrorCode =
  | "BAD_CONNECTION"
  | "DATABASE_UNREACHABLE"
  | "COMMIT_UNKNOWN"
  | "DATABASE_READ_ONLY"
  | "DATABASE_TOO_OLD"
  | "AUTHENTICATION_FAILED"
  | "POOLER_IN_TRANSACTION_MODE"
  | "LISTEN_UNAVAILABLE"
  | "PERMISSION_DENIED";

/** The database cannot be reached or used as it is. */
export class ConnectionError extends MemFlowError {
  declare readonly code: ConnectionErrorCode;
  /** Host, port and database, without the password; `undefined` before they are known. */
  readonly target: string | undefined;

  constructor(
    code: ConnectionErrorCode,
    options: { readonly message: string; readonly target?: string; readonly cause?: unknown },
  ) {
    super(options.message, {
      name: "ConnectionError",
      code,
      ...("cause" in options ? { cause: options.cause } : {}),
    });
    this.target = options.target;
  }
}

/** What is wrong with the schema of a store. */
export type SchemaErrorCode =
  | "SCHEMA_MISSING"
  | "SCHEMA_TOO_NEW"
  | "SCHEMA_TOO_OLD"
  | "SCHEMA_TAKEN"
  | "BAD_SCHEMA_NAME";

/** The schema is not there, has a bad name, belongs to others, or has another version than this code was written for. */
export class SchemaError extends MemFlowError {
  declare readonly code: SchemaErrorCode;
  readonly schema: string | undefined;
  /** The version found in the database; `undefined` when it is not about versions. */
  readonly foundVersion: number | undefined;
  /** The version that this code needs; `undefined` when it is not about versions. */
  readonly neededVersion: number | undefined;

  constructor(
    code: SchemaErrorCode,
    options: {
      readonly message: string;
      readonly schema?: string;
      readonly foundVersion?: number;
      readonly neededVersion?: number;
      readonly cause?: unknown;
    },
  ) {
    super(options.message, {
      name: "SchemaError",
      code,
      ...("cause" in options ? { cause: options.cause } : {}),
    });
    this.schema = options.schema;
    this.foundVersion = options.foundVersion;
    this.neededVersion = options.neededVersion;
  }
}

/** Why a search was not answered. */
export type SearchErrorCode =
  | "SEARCH_REFUSED"
  | "SEARCH_NOT_PREPARED"
  | "SEARCH_TIMEOUT"
  | "SEARCH_TOO_LARGE";

/** A search in the words of SQL that Postgres refused, or that may not run yet. */
export class SearchError extends MemFlowError {
  declare readonly code: SearchErrorCode;
  /** What Postgres called it; `undefined` when the error is not Postgres's. */
  readonly sqlState: string | undefined;

  constructor(
    code: SearchErrorCode,
    options: {
      readonly message: string;
      readonly sqlState?: string | undefined;
      readonly cause?: unknown;
    },
  ) {
    super(options.message, {
      name: "SearchError",
      code,
      ...("cause" in options ? { cause: options.cause } : {}),
    });
    this.sqlState = options.sqlState;
  }
}

/** Another leader has written since: what this one says no longer counts. */
export class LeaderFollowedError extends MemFlowError {
  declare readonly code: "LEADER_FOLLOWED";
  /** The fencing token that was refused. */
  readonly token: number;

  constructor(options: { readonly token: number; readonly cause?: unknown }) {
    super(`leader ${options.token} was followed by another one; stop writing`, {
      name: "LeaderFollowedError",
      code: "LEADER_FOLLOWED",
      ...("cause" in options ? { cause: options.cause } : {}),
    });
    this.token = options.token;
  }
}
