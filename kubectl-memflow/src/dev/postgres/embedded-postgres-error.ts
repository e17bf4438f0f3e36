/**
 * What can go wrong with the embedded Postgres, as one class with a stable `code`.
 *
 * Promises that `url` and `port` are set on EMBEDDED_POSTGRES_IN_USE, so that a caller can connect to the server that
 * another process looks after. The message never holds the password.
 */

/** The stable codes; each message names the remedy. */
export type EmbeddedPostgresErrorCode =
  | "EMBEDDED_POSTGRES_UNSUPPORTED"
  | "EMBEDDED_POSTGRES_MISSING"
  | "EMBEDDED_POSTGRES_NO_USER"
  | "EMBEDDED_POSTGRES_FOREIGN_DATA"
  | "EMBEDDED_POSTGRES_IN_USE"
  | "EMBEDDED_POSTGRES_FAILED";

/** Everything an {@link EmbeddedPostgresError} carries beside its code. */
export interface EmbeddedPostgresErrorDetails {
  readonly message: string;
  readonly cause?: unknown;
  /** Where the running server answers, with its password. Only with EMBEDDED_POSTGRES_IN_USE. */
  readonly url?: string;
  readonly port?: number;
}

/** The embedded Postgres could not be started, or another process looks after it already. */
export class EmbeddedPostgresError extends Error {
  readonly code: EmbeddedPostgresErrorCode;
  readonly url: string | undefined;
  readonly port: number | undefined;

  constructor(code: EmbeddedPostgresErrorCode, details: EmbeddedPostgresErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "EmbeddedPostgresError";
    this.code = code;
    this.url = details.url;
    this.port = details.port;
  }
}
