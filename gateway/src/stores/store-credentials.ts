/**
 * How a gateway enters the database of a Store: the Secret that the operator writes for it.
 *
 * Promises that a Secret counts only if it is this very Store's, whatever the Store's status names, and that no message holds a
 * value of it. How the server is verified stands in the connection string, as the operator wrote it from the Store's spec; the
 * authority is taken from the Secret, since the file that the string names is there in pods of one Store alone.
 */
import { createHash } from "node:crypto";
import { resolveConnection, tlsOptions } from "@memflow/engine";
import type { ConnectionSource } from "@memflow/engine";
import { STORE_CREDENTIALS } from "@memflow/operator/api";
import type { Secret } from "@memflow/operator/kube";

/** A way in. */
export interface StoreCredentials {
  readonly source: ConnectionSource;
  /** Equal for equal credentials; tells nothing of them. */
  readonly fingerprint: string;
}

/** Credentials, or why there are none. */
export type CredentialsReading =
  | { readonly kind: "Read"; readonly credentials: StoreCredentials }
  | { readonly kind: "Unusable"; readonly reason: string };

const TLS_PARAMETERS: readonly string[] = ["sslmode", "sslrootcert", "uselibpqcompat"];

/**
 * Reads a Secret.
 *
 * @param storeUid - Of the Store that names it.
 */
export function readStoreCredentials(secret: Secret, storeUid: string): CredentialsReading {
  const { name = "", ownerReferences = [] } = secret.metadata ?? {};
  if (!ownerReferences.some(({ uid }) => uid === storeUid)) {
    return { kind: "Unusable", reason: `Secret "${name}" is not this Store's` };
  }
  const [uri, directUri, authority] = [
    STORE_CREDENTIALS.uriKey,
    STORE_CREDENTIALS.directUriKey,
    STORE_CREDENTIALS.authorityKey,
  ].map((key) => valueOf(secret, key));
  if (uri === undefined) return { kind: "Unusable", reason: `Secret "${name}" has no key "uri"` };
  try {
    const direct = directUri === undefined ? {} : { direct: optionsOf(directUri, authority) };
    const source = resolveConnection({ ...optionsOf(uri, authority), ...direct, pooled: false });
    const values = JSON.stringify([uri, directUri, authority]);
    const fingerprint = createHash("sha256").update(values).digest("hex");
    return { kind: "Read", credentials: { source, fingerprint } };
  } catch {
    // The reason would hold parts of the value.
    return { kind: "Unusable", reason: `key "uri" of Secret "${name}" is no connection string` };
  }
}

function valueOf(secret: Secret, key: string): string | undefined {
  const value = secret.data?.[key];
  return value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");
}

/** What the string says of TLS, as options: `pg` would look for the authority's file. */
function optionsOf(uri: string, authority: string | undefined): Readonly<Record<string, unknown>> {
  const url = new URL(uri);
  const mode = url.searchParams.get("sslmode") ?? "disable";
  for (const name of TLS_PARAMETERS) url.searchParams.delete(name);
  // A blank is written as %20: a "+" would be read as it stands.
  const search = url.searchParams.toString().replaceAll("+", "%20");
  url.search = search;
  return { connectionString: url.href, ssl: tlsOptions(mode, authority) };
}
