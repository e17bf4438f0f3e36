/**
 * The credentials of one Store's workers and gateway: what is there now, and how one step of their plan is done.
 *
 * Promises that a new password is in the database before it is in the Secret, and that a role is out of the Secret only after
 * its login is gone: whoever reads the Secret at any moment can log in. What a rotation has to remember stands in the Secret.
 */
import type { Store } from "@memflow/crds";
import { durationMs, ROTATE_CREDENTIALS_ANNOTATION } from "@memflow/crds";
import { FIELD_MANAGERS } from "../api/index.ts";
import { SECRETS } from "../kube/index.ts";
import type { Clock } from "../kube/index.ts";
import type { CredentialStep, RoleObservation, Slot } from "./core/credential-plan.ts";
import type { Credentials } from "./core/credentials.ts";
import type { AudienceStep } from "./core/plan-store.ts";
import { credentialsSecretName } from "./core/store-observation.ts";
import type { Audience, AudienceObservation } from "./core/store-observation.ts";
import {
  credentialsSecret,
  hasValues,
  isOurs,
  loginOf,
  marksOf,
  observeSecret,
  secretValues,
} from "./credentials-secret.ts";
import type { RotationMarks } from "./credentials-secret.ts";
import { hashCredentials } from "./credentials-hash.ts";
import { accessAs, fingerprintOf, sourceOf } from "./database-source.ts";
import type { DatabaseAccess } from "./database-source.ts";
import { tryLogin } from "./probe-database.ts";
import type { ProbeAnswer } from "./probe-database.ts";
import { readSecretRef } from "./read-connection.ts";
import type { Reading, SecretPlace } from "./read-connection.ts";
import { roleName } from "./role-names.ts";
import { allowLogin, grantRole, retireRole, setRole } from "./roles.ts";
import type { RolePlace } from "./roles.ts";
import { makePassword } from "./scram-verifier.ts";
import type { SecretReading } from "./secret-reader.ts";
import type { Link } from "./store-link.ts";

/** Where the credentials are looked at, and changed. */
export interface CredentialsPlace {
  readonly store: Store & { readonly metadata: { readonly uid: string; readonly namespace: string } };
  readonly link: Link;
  readonly answer: ProbeAnswer;
  readonly schemaVersion: number;
  readonly secrets: SecretPlace;
  readonly crashPoint: (name: string) => void;
}

/** What a step did that users are told. */
export type CredentialEvent = "RolesCreated" | "CredentialsRotated" | undefined;

interface KnownLogin {
  readonly fingerprint: string;
  readonly outcome: "Accepted" | "Refused";
  readonly message: string;
  readonly triedMs: number;
}

/** A role's password may be changed behind our back: it is tried again so often. */
const LOGIN_CHECK_MS = 300_000;
const REFUSED_CHECK_MS = 15_000;
/** A password that is refused though it was set is set again so often at most. */
const RESTORE_MS = 60_000;

/** @see CredentialsPlace */
export class StoreCredentials {
  readonly #clock: Clock;
  readonly #logins = new Map<Audience, KnownLogin>();
  /** Roles whose rights were given since the schema has its version. */
  readonly #granted = new Set<string>();
  /** Since when nobody has been seen connected, by role. */
  readonly #unusedSinceMs = new Map<string, number>();
  readonly #restoredMs = new Map<Audience, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The server was away: who is not connected now may be on its way. */
  forgetUse(): void {
    this.#unusedSinceMs.clear();
  }

  /** Looks at the credentials of all audiences. */
  async observe(place: CredentialsPlace): Promise<Readonly<Record<Audience, AudienceObservation>>> {
    this.#noteUse(place.answer);
    return {
      worker: await this.#observeAudience(place, "worker"),
      gateway: await this.#observeAudience(place, "gateway"),
    };
  }

  /** What changes with the workers' credentials; undefined while there are none. */
  async workersHash(place: CredentialsPlace): Promise<string | undefined> {
    const reading = await readOwn(place, "worker");
    if (reading.kind === "Missing" || !isOurs(reading, ownerOf(place))) return undefined;
    const { uri, directUri = "", "ca.crt": authority = "" } = reading.data;
    return uri === undefined
      ? undefined
      : hashCredentials([uri, directUri, authority], place.store.metadata.uid);
  }

  /**
   * Does one step.
   *
   * @throws {RoleDeniedError} When the connection's role may not.
   */
  async apply(place: CredentialsPlace, step: AudienceStep): Promise<CredentialEvent> {
    if (step.kind === "Credential") return this.#applyCreated(place, step.audience, step.step);
    const reading = await readTaken(place, step.audience);
    if (reading.kind !== "Read") return undefined;
    if (step.kind === "Grant") await this.#grant(place, reading.value.credentials.user);
    else await writeSecret(place, step.audience, { access: reading.value, marks: undefined });
    return undefined;
  }

  async #observeAudience(place: CredentialsPlace, audience: Audience): Promise<AudienceObservation> {
    return place.store.spec.provisioning.roles === "Create"
      ? this.#observeCreated(place, audience)
      : this.#observeTaken(place, audience);
  }

  async #observeCreated(place: CredentialsPlace, audience: Audience): Promise<AudienceObservation> {
    const { store, link, answer } = place;
    const reading = await readOwn(place, audience);
    const secret = observeSecret(reading, ownerOf(place), {
      roleOf: (slot) => nameOfRole(place, audience, slot),
      valuesFor: (login) => secretValues(accessAs(link.access, login)),
    });
    const roleAt = (slot: Slot): RoleObservation | undefined =>
      answer.roles[nameOfRole(place, audience, slot)];
    const login = loginOf(reading);
    const canTry = secret.kind === "Ours" && login !== undefined && roleAt(secret.slot)?.canLogin === true;
    const previous = secret.kind === "Ours" ? secret.previous : undefined;
    const role = secret.kind === "Ours" ? nameOfRole(place, audience, secret.slot) : "";
    return {
      kind: "Created",
      credential: {
        secret,
        roles: { a: roleAt("a"), b: roleAt("b") },
        login: canTry ? (await this.#tryLogin(audience, accessAs(link.access, login))).outcome : undefined,
        isGranted: this.#granted.has(grantKey(place, role)),
        isRestored: this.#clock.steadyMs() - (this.#restoredMs.get(audience) ?? -RESTORE_MS) < RESTORE_MS,
        previousUnusedMs: previous === undefined ? 0 : this.#unusedMs(nameOfRole(place, audience, previous)),
        request: store.metadata.annotations?.[ROTATE_CREDENTIALS_ANNOTATION],
        nowMs: this.#clock.wallTime().getTime(),
        rotateEveryMs: durationMs(store.spec.provisioning.rotateEvery),
      },
    };
  }

  async #observeTaken(place: CredentialsPlace, audience: Audience): Promise<AudienceObservation> {
    const reading = await readTaken(place, audience);
    const own = await readOwn(place, audience);
    const isForeign = own.kind === "Read" && !isOurs(own, ownerOf(place));
    if (reading.kind !== "Read") {
      const missing = reading.kind === "SecretNotFound" ? "Missing" : "Invalid";
      const secret = isForeign ? "Foreign" : "Stale";
      return {
        kind: "Taken",
        reading: missing,
        message: reading.message,
        login: undefined,
        secret,
        isGranted: false,
      };
    }
    const access = reading.value;
    const { user } = access.credentials;
    const isShared = place.store.spec.provisioning.roles === "Shared";
    const tried = isShared ? undefined : await this.#tryLogin(audience, access);
    const isUpToDate =
      own.kind === "Read" && hasValues(own.data, secretValues(access)) && marksOf(own) === undefined;
    const stands = own.kind === "Missing" ? "Missing" : isUpToDate ? "UpToDate" : "Stale";
    return {
      kind: "Taken",
      reading: "Read",
      message: tried?.message ?? "",
      login: isShared ? "Accepted" : tried?.outcome,
      secret: isForeign ? "Foreign" : stands,
      isGranted: isShared || user === place.answer.role || this.#granted.has(grantKey(place, user)),
    };
  }

  async #applyCreated(
    place: CredentialsPlace,
    audience: Audience,
    step: CredentialStep,
  ): Promise<CredentialEvent> {
    const role = nameOfRole(place, audience, step.slot);
    const own = await readOwn(place, audience);
    const marks = marksOf(own);
    const login = loginOf(own);
    if (step.kind === "HandOut")
      return this.#handOut(place, audience, { ...step, isFirst: own.kind === "Missing" });
    if (marks === undefined || login === undefined) return undefined;
    const access = accessAs(place.link.access, login);
    switch (step.kind) {
      case "Restore":
        await setRole(rolePlaceOf(place), role, { password: login.password, canLogin: true });
        this.#granted.add(grantKey(place, role));
        this.#logins.delete(audience);
        this.#restoredMs.set(audience, this.#clock.steadyMs());
        return undefined;
      case "Grant":
        await this.#grant(place, role);
        return undefined;
      case "Rewrite":
        await writeSecret(place, audience, { access, marks });
        return undefined;
      case "Retire":
        await retireRole(rolePlaceOf(place), role);
        place.crashPoint("stores.roleRetired");
        await writeSecret(place, audience, { access, marks: { ...marks, previous: undefined } });
        return undefined;
    }
  }

  async #handOut(
    place: CredentialsPlace,
    audience: Audience,
    {
      slot,
      previous,
      isFirst,
    }: Extract<CredentialStep, { readonly kind: "HandOut" }> & { readonly isFirst: boolean },
  ): Promise<CredentialEvent> {
    const { store, answer, link } = place;
    const role = nameOfRole(place, audience, slot);
    const password = makePassword();
    // Without a Secret the roles alone say which one may be in use: what could log in before anybody had its password would count.
    await setRole(rolePlaceOf(place), role, { password, canLogin: !isFirst });
    place.crashPoint("stores.roleSet");
    this.#granted.add(grantKey(place, role));
    this.#logins.delete(audience);
    const marks: RotationMarks = {
      slot,
      previous,
      rotatedAt: this.#clock.wallTime().toISOString(),
      request: store.metadata.annotations?.[ROTATE_CREDENTIALS_ANNOTATION],
    };
    await writeSecret(place, audience, { access: accessAs(link.access, { user: role, password }), marks });
    if (isFirst) await allowLogin(rolePlaceOf(place), role);
    return answer.roles[role] === undefined && previous === undefined ? "RolesCreated" : "CredentialsRotated";
  }

  async #grant(place: CredentialsPlace, role: string): Promise<void> {
    await grantRole(rolePlaceOf(place), role);
    this.#granted.add(grantKey(place, role));
  }

  /** What was found out a while ago is not asked again at each look. */
  async #tryLogin(
    audience: Audience,
    access: DatabaseAccess,
  ): Promise<{ readonly outcome: "Accepted" | "Refused" | undefined; readonly message: string }> {
    const fingerprint = fingerprintOf(access);
    const nowMs = this.#clock.steadyMs();
    const known = this.#logins.get(audience);
    const limitMs = known?.outcome === "Refused" ? REFUSED_CHECK_MS : LOGIN_CHECK_MS;
    if (known?.fingerprint === fingerprint && nowMs - known.triedMs < limitMs) return known;
    const tried = await tryLogin(sourceOf(access));
    const message = tried.kind === "Accepted" ? "" : tried.message;
    if (tried.kind === "Unknown") return { outcome: undefined, message };
    const login = { fingerprint, outcome: tried.kind, message, triedMs: nowMs };
    this.#logins.set(audience, login);
    return login;
  }

  #noteUse({ roles }: ProbeAnswer): void {
    const nowMs = this.#clock.steadyMs();
    for (const [role, { sessionCount }] of Object.entries(roles)) {
      if (sessionCount > 0) this.#unusedSinceMs.delete(role);
      else if (!this.#unusedSinceMs.has(role)) this.#unusedSinceMs.set(role, nowMs);
    }
  }

  #unusedMs(role: string): number {
    const sinceMs = this.#unusedSinceMs.get(role);
    return sinceMs === undefined ? 0 : this.#clock.steadyMs() - sinceMs;
  }
}

/** Given: what the user's Secret says; Shared: the connection's own. */
async function readTaken(place: CredentialsPlace, audience: Audience): Promise<Reading<DatabaseAccess>> {
  const { store, link, secrets } = place;
  const { roles, workerSecretRef, gatewaySecretRef } = store.spec.provisioning;
  if (roles === "Shared") return { kind: "Read", value: link.access };
  const ref = audience === "gateway" ? (gatewaySecretRef ?? workerSecretRef) : workerSecretRef;
  if (ref === undefined) {
    return { kind: "SecretNotFound", message: "roles is Given and provisioning.workerSecretRef is left out" };
  }
  const reading = await readSecretRef(ref, secrets);
  if (reading.kind !== "Read") return reading;
  const login: Credentials = reading.value;
  return { kind: "Read", value: { ...accessAs(link.access, login), credentials: login } };
}

async function readOwn({ store, secrets }: CredentialsPlace, audience: Audience): Promise<SecretReading> {
  const name = credentialsSecretName(store.metadata.name, audience);
  return secrets.secrets.read(secrets.client, { namespace: store.metadata.namespace, name }, secrets.signal);
}

async function writeSecret(
  place: CredentialsPlace,
  audience: Audience,
  content: { readonly access: DatabaseAccess; readonly marks: RotationMarks | undefined },
): Promise<void> {
  const { client, secrets, signal } = place.secrets;
  const secret = credentialsSecret({ owner: ownerOf(place), audience, ...content });
  secrets.keep(await client.apply(SECRETS, secret, { fieldManager: FIELD_MANAGERS.stores, signal }));
}

function ownerOf({ store }: CredentialsPlace): {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
} {
  const { name, namespace, uid } = store.metadata;
  return { name, namespace, uid };
}

function rolePlaceOf({ link, store, answer }: CredentialsPlace): RolePlace {
  const { role: owner, mayCreateRoles } = answer;
  return { session: link.session, schema: store.spec.schema, owner, mayCreateRoles };
}

function nameOfRole({ store, link }: CredentialsPlace, audience: Audience, slot: Slot): string {
  const { database } = link.access.credentials;
  return roleName({ database, schema: store.spec.schema, uid: store.metadata.uid }, audience, slot);
}

function grantKey({ schemaVersion, answer }: CredentialsPlace, role: string): string {
  return JSON.stringify([schemaVersion, answer.role, role]);
}
