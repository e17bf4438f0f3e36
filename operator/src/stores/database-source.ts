/**
 * A connection source from credentials, and what tells one from another. Opens nothing.
 */
import { createHash } from "node:crypto";
import { resolveConnection, tlsOptions } from "@memflow/engine/provision";
import type { ConnectionSource } from "@memflow/engine/provision";
import type { Credentials, TlsRules } from "./core/credentials.ts";

/** Where the database of a Store is, and how it is entered. */
export interface DatabaseAccess {
  readonly credentials: Credentials;
  readonly tls: TlsRules;
  /** Around a pooler, to the same database. */
  readonly direct: Credentials | undefined;
}

/** The source of an access; TLS as the rules say, whatever else the credentials' parameters say. */
export function sourceOf({ credentials, tls, direct }: DatabaseAccess): ConnectionSource {
  return resolveConnection({
    ...optionsOf(credentials, tls),
    ...(direct === undefined ? {} : { direct: optionsOf(direct, tls) }),
    // Whether a pooler is there is found out, not concluded from a second way to the database.
    pooled: false,
  });
}

/** The same access by another role. */
export function accessAs(
  access: DatabaseAccess,
  login: Pick<Credentials, "user" | "password">,
): DatabaseAccess {
  const { credentials, direct } = access;
  const { user, password } = login;
  return {
    ...access,
    credentials: { ...credentials, user, password },
    direct: direct === undefined ? undefined : { ...direct, user, password },
  };
}

/** Equal for equal accesses, passwords included; tells nothing of them. */
export function fingerprintOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

function optionsOf(credentials: Credentials, tls: TlsRules): Readonly<Record<string, unknown>> {
  const { host, port, database, user, password, parameters } = credentials;
  return { ...parameters, host, port, database, user, password, ssl: tlsOptions(tls.mode, tls.authority) };
}
