/**
 * From a Store's spec to how its database is entered: by way of the Secrets that it names.
 *
 * Promises a reason and a message that names Secret and key for all that is missing or can't be read.
 */
import type { StoreSpec } from "@memflow/crds";
import type { KubeClient } from "../kube/index.ts";
import { readCredentials } from "./core/credentials.ts";
import type { Credentials, TlsRules } from "./core/credentials.ts";
import type { DatabaseAccess } from "./database-source.ts";
import type { SecretReader } from "./secret-reader.ts";

/** Where to read. */
export interface SecretPlace {
  readonly client: KubeClient;
  readonly secrets: SecretReader;
  readonly namespace: string;
  readonly signal: AbortSignal;
}

/** A value, or the reason why there is none. */
export type Reading<Value> =
  | { readonly kind: "Read"; readonly value: Value }
  | { readonly kind: "SecretNotFound" | "SecretInvalid"; readonly message: string };

type SecretRef = NonNullable<StoreSpec["connection"]["secretRef"]>;

/** CloudNativePG's names. */
const CNPG_APP_SUFFIX = "-app";
const CNPG_AUTHORITY = { suffix: "-ca", key: "ca.crt" } as const;

/** Reads connection, authority and direct connection. */
export async function readConnection(spec: StoreSpec, place: SecretPlace): Promise<Reading<DatabaseAccess>> {
  const credentials = await readMain(spec, place);
  if (credentials.kind !== "Read") return credentials;
  const tls = await readTls(spec, place);
  if (tls.kind !== "Read") return tls;
  const ref = spec.directConnection?.secretRef;
  const direct = ref === undefined ? undefined : await readSecretRef(ref, place);
  if (direct !== undefined && direct.kind !== "Read") return direct;
  return {
    kind: "Read",
    value: { credentials: credentials.value, tls: tls.value, direct: direct?.value },
  };
}

/** Reads the credentials that a reference names. */
export async function readSecretRef(
  { name, key }: SecretRef,
  { client, secrets, namespace, signal }: SecretPlace,
): Promise<Reading<Credentials>> {
  const secret = await secrets.read(client, { namespace, name }, signal);
  if (secret.kind === "Missing") return { kind: "SecretNotFound", message: secret.message };
  const reading = readCredentials(secret.data, { secretName: name, key });
  if (reading.kind === "Read") return { kind: "Read", value: reading.credentials };
  return { kind: reading.kind === "Missing" ? "SecretNotFound" : "SecretInvalid", message: reading.message };
}

async function readMain(spec: StoreSpec, place: SecretPlace): Promise<Reading<Credentials>> {
  const { secretRef, cnpgClusterRef } = spec.connection;
  if (secretRef !== undefined) return readSecretRef(secretRef, place);
  if (cnpgClusterRef === undefined) {
    return { kind: "SecretInvalid", message: "connection names neither secretRef nor cnpgClusterRef" };
  }
  const reading = await readSecretRef({ name: cnpgClusterRef.name + CNPG_APP_SUFFIX, key: "uri" }, place);
  if (reading.kind !== "Read") return reading;
  const { host } = reading.value;
  return {
    kind: "Read",
    value: {
      ...reading.value,
      database: cnpgClusterRef.database,
      // A bare name is one of the cluster's own namespace, where the operator need not be.
      host: host.includes(".") || host.includes(":") ? host : `${host}.${place.namespace}.svc`,
    },
  };
}

async function readTls(spec: StoreSpec, place: SecretPlace): Promise<Reading<TlsRules>> {
  const { tls, cnpgClusterRef } = spec.connection;
  const isVerified = tls.mode === "verify-ca" || tls.mode === "verify-full";
  const ownRef =
    cnpgClusterRef === undefined || !isVerified
      ? undefined
      : { name: cnpgClusterRef.name + CNPG_AUTHORITY.suffix, key: CNPG_AUTHORITY.key };
  const ref = tls.caSecretRef ?? ownRef;
  if (ref === undefined) return { kind: "Read", value: { mode: tls.mode, authority: undefined } };
  const { client, secrets, namespace, signal } = place;
  const secret = await secrets.read(client, { namespace, name: ref.name }, signal);
  if (secret.kind === "Missing") return { kind: "SecretNotFound", message: secret.message };
  const authority = secret.data[ref.key];
  if (authority === undefined) {
    return { kind: "SecretNotFound", message: `Secret "${ref.name}" has no key "${ref.key}"` };
  }
  if (!authority.includes("-----BEGIN CERTIFICATE-----")) {
    const message = `key "${ref.key}" of Secret "${ref.name}" is no certificate in PEM form`;
    return { kind: "SecretInvalid", message };
  }
  return { kind: "Read", value: { mode: tls.mode, authority } };
}
