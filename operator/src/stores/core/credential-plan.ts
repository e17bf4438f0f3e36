/**
 * What is to be done next about the role of workers, or of the gateway: two login roles take turns, and one Secret says
 * whose turn it is.
 *
 * Promises: whoever holds the password in the Secret, or the one before it, can log in until the old one has been out of
 * use for a while; each step may be the last one before a crash, and the plan made from what then is leads to the same end.
 * Pure.
 */

/** The two roles that take turns. */
export type Slot = "a" | "b";

/** One of them, as the database has it; undefined while it was never made. */
export interface RoleObservation {
  readonly canLogin: boolean;
  /** Connections it has open now. */
  readonly sessionCount: number;
}

/** The Secret that hands the credentials out. */
export type SecretObservation =
  | { readonly kind: "Missing" }
  /** Somebody else's Secret of that name. */
  | { readonly kind: "Foreign" }
  | {
      readonly kind: "Ours";
      readonly slot: Slot;
      readonly rotatedMs: number;
      /** The annotation of the Store that was heeded last. */
      readonly request: string | undefined;
      /** The role before, while its pods may still live. */
      readonly previous: Slot | undefined;
      /** All else in it is as it should be: host, TLS. */
      readonly upToDate: boolean;
    };

export interface CredentialObservation {
  readonly secret: SecretObservation;
  readonly roles: Readonly<Record<Slot, RoleObservation | undefined>>;
  /** Its rights were given since the schema has this version. */
  readonly isGranted: boolean;
  /** Whether the password in the Secret is taken; undefined where it was not tried. */
  readonly login: "Accepted" | "Refused" | undefined;
  /** The role was given the Secret's password a moment ago: what is refused since then has another reason. */
  readonly isRestored: boolean;
  /** How long nobody has been seen connected by the role before, without a break. */
  readonly previousUnusedMs: number;
  /** The newest annotation of the Store that asks for a rotation. */
  readonly request: string | undefined;
  readonly nowMs: number;
  readonly rotateEveryMs: number;
}

export type CredentialStep =
  /** A new password for the role, then the Secret. */
  | { readonly kind: "HandOut"; readonly slot: Slot; readonly previous: Slot | undefined }
  /** The role is to take the password that the Secret has. */
  | { readonly kind: "Restore"; readonly slot: Slot }
  | { readonly kind: "Grant"; readonly slot: Slot }
  /** The Secret alone. */
  | { readonly kind: "Rewrite"; readonly slot: Slot; readonly previous: Slot | undefined }
  /** The role may not log in any more, then the Secret forgets it. */
  | { readonly kind: "Retire"; readonly slot: Slot };

/** Pods need so long at least to hear of a new Secret, and to be replaced. */
export const GRACE_MS = 600_000;
/** As long as the longest drain of a pod: who has not rolled by then never will by itself. */
export const GRACE_MAX_MS: number = 24 * 3_600_000;

/** The next step; undefined when there is none. */
export function planCredential(observation: CredentialObservation): CredentialStep | undefined {
  const { secret, roles, login, nowMs, rotateEveryMs } = observation;
  if (secret.kind === "Foreign") return undefined;
  if (secret.kind === "Missing") {
    const slot = freeSlot(roles);
    const before = other(slot);
    return { kind: "HandOut", slot, previous: roles[before]?.canLogin === true ? before : undefined };
  }
  const { slot, previous } = secret;
  if (roles[slot]?.canLogin !== true) return { kind: "Restore", slot };
  if (login === "Refused") return observation.isRestored ? undefined : { kind: "Restore", slot };
  if (!observation.isGranted) return { kind: "Grant", slot };
  if (!secret.upToDate) return { kind: "Rewrite", slot, previous };
  if (previous !== undefined) {
    return isOutOfUse(observation, previous) ? { kind: "Retire", slot: previous } : undefined;
  }
  const isDue = nowMs - secret.rotatedMs >= rotateEveryMs;
  const isAsked = observation.request !== undefined && observation.request !== secret.request;
  return isDue || isAsked ? { kind: "HandOut", slot: other(slot), previous: slot } : undefined;
}

function other(slot: Slot): Slot {
  return slot === "a" ? "b" : "a";
}

function isOutOfUse(observation: CredentialObservation, previous: Slot): boolean {
  const { secret, roles, nowMs, previousUnusedMs } = observation;
  const sinceMs = secret.kind === "Ours" ? nowMs - secret.rotatedMs : 0;
  if (sinceMs >= GRACE_MAX_MS) return true;
  const isUsed = (roles[previous]?.sessionCount ?? 0) > 0;
  return !isUsed && sinceMs >= GRACE_MS && previousUnusedMs >= GRACE_MS;
}

/** The Secret is gone, and with it the password: pods that hold it keep their role, the other one gets a new password. */
function freeSlot({ a, b }: CredentialObservation["roles"]): Slot {
  const weight = (role: RoleObservation | undefined): number =>
    role === undefined ? 0 : role.sessionCount + (role.canLogin ? 0.5 : 0);
  return weight(b) < weight(a) ? "b" : "a";
}
