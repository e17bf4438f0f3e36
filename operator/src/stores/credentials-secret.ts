/**
 * The Secrets that hand credentials out: `<store>-worker` and `<store>-gateway`.
 *
 * Promises that only a Secret of this very Store is taken for ours, and that all that a rotation has to remember stands in it:
 * it is written in one piece with the password, so a crash finds either both or neither.
 */
import { API_VERSION } from "@memflow/crds";
import { OPERATOR_LABELS, STORE_CREDENTIALS } from "../api/index.ts";
import type { Secret } from "../kube/index.ts";
import { connectionUri, readCredentials } from "./core/credentials.ts";
import type { Credentials } from "./core/credentials.ts";
import type { SecretObservation, Slot } from "./core/credential-plan.ts";
import { credentialsSecretName } from "./core/store-observation.ts";
import type { Audience } from "./core/store-observation.ts";
import type { DatabaseAccess } from "./database-source.ts";
import type { SecretReading } from "./secret-reader.ts";

const { uriKey, directUriKey, authorityKey, folder } = STORE_CREDENTIALS;
/** As the pods that get the connection string have it. */
const AUTHORITY_PATH = `${folder}/${authorityKey}`;

const SLOT = "memflow.io/role-slot";
const PREVIOUS_SLOT = "memflow.io/previous-role-slot";
const ROTATED_AT = "memflow.io/rotated-at";
const REQUEST = "memflow.io/rotation-request";

/** Whose Secret it is. */
export interface SecretOwner {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

/** What a rotation remembers; roles that are not ours have none. */
export interface RotationMarks {
  readonly slot: Slot;
  readonly previous: Slot | undefined;
  readonly rotatedAt: string;
  readonly request: string | undefined;
}

/** Makes the Secret, to be applied. */
export function credentialsSecret(options: {
  readonly owner: SecretOwner;
  readonly audience: Audience;
  readonly access: DatabaseAccess;
  readonly marks: RotationMarks | undefined;
}): Secret {
  const { owner, audience, marks } = options;
  const annotations: Record<string, string> = {};
  if (marks !== undefined) {
    annotations[SLOT] = marks.slot;
    annotations[ROTATED_AT] = marks.rotatedAt;
    if (marks.previous !== undefined) annotations[PREVIOUS_SLOT] = marks.previous;
    if (marks.request !== undefined) annotations[REQUEST] = marks.request;
  }
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: credentialsSecretName(owner.name, audience),
      namespace: owner.namespace,
      labels: { ...OPERATOR_LABELS, "app.kubernetes.io/component": "store" },
      annotations,
      ownerReferences: [
        { apiVersion: API_VERSION, kind: "Store", name: owner.name, uid: owner.uid, controller: true },
      ],
    },
    type: "Opaque",
    data: Object.fromEntries(
      Object.entries(secretValues(options.access)).map(([key, value]) => [
        key,
        Buffer.from(value).toString("base64"),
      ]),
    ),
  };
}

/** The values, not encoded. */
export function secretValues(access: DatabaseAccess): Readonly<Record<string, string>> {
  const { credentials, tls, direct } = access;
  return {
    [uriKey]: connectionUri(credentials, tls, AUTHORITY_PATH),
    ...(direct === undefined ? {} : { [directUriKey]: connectionUri(direct, tls, AUTHORITY_PATH) }),
    ...(tls.authority === undefined ? {} : { [authorityKey]: tls.authority }),
  };
}

/** Whether the Secret was made for this Store, and not for another one, or by somebody else. */
export function isOurs(
  reading: Extract<SecretReading, { readonly kind: "Read" }>,
  owner: SecretOwner,
): boolean {
  return (reading.secret.metadata?.ownerReferences ?? []).some(({ uid }) => uid === owner.uid);
}

/** The login that a Secret of ours hands out; undefined when somebody has spoilt it. */
export function loginOf(reading: SecretReading): Credentials | undefined {
  if (reading.kind === "Missing") return undefined;
  const { name = "" } = reading.secret.metadata ?? {};
  const found = readCredentials(reading.data, { secretName: name, key: uriKey });
  return found.kind === "Read" ? found.credentials : undefined;
}

/** What a rotation remembers; undefined when somebody has spoilt it. */
export function marksOf(reading: SecretReading): RotationMarks | undefined {
  if (reading.kind === "Missing") return undefined;
  const annotations = (reading.secret.metadata?.annotations ?? {}) as Readonly<Record<string, string>>;
  const slot = slotOf(annotations[SLOT]);
  const rotatedAt = annotations[ROTATED_AT];
  if (slot === undefined || rotatedAt === undefined || Number.isNaN(Date.parse(rotatedAt))) return undefined;
  return { slot, rotatedAt, previous: slotOf(annotations[PREVIOUS_SLOT]), request: annotations[REQUEST] };
}

/**
 * What the plan sees of it. A Secret of ours that was spoilt counts as missing: it is written anew.
 *
 * @param expected - The role of a slot, and the values that belong to a login.
 */
export function observeSecret(
  reading: SecretReading,
  owner: SecretOwner,
  expected: {
    roleOf(slot: Slot): string;
    valuesFor(login: Credentials): Readonly<Record<string, string>>;
  },
): SecretObservation {
  if (reading.kind === "Missing") return { kind: "Missing" };
  if (!isOurs(reading, owner)) return { kind: "Foreign" };
  const marks = marksOf(reading);
  const login = loginOf(reading);
  // A role of another database, as after a change of it, is as good as none.
  if (marks === undefined || login?.user !== expected.roleOf(marks.slot)) return { kind: "Missing" };
  const { slot, previous, request } = marks;
  const upToDate = hasValues(reading.data, expected.valuesFor(login));
  return { kind: "Ours", slot, previous, request, rotatedMs: Date.parse(marks.rotatedAt), upToDate };
}

const KEYS: readonly string[] = [uriKey, directUriKey, authorityKey];

/** Whether the Secret has these values; what others put beside them is theirs. */
export function hasValues(
  data: Readonly<Record<string, string>>,
  expected: Readonly<Record<string, string>>,
): boolean {
  return KEYS.every((key) => data[key] === expected[key]);
}

function slotOf(text: string | undefined): Slot | undefined {
  return text === "a" || text === "b" ? text : undefined;
}
