/**
 * Decides what is to be done next for a Store, and what its conditions say. Pure.
 *
 * Promises: every condition is claimed, with a reason that its kind documents; nothing is done in a database that is not
 * reached or in a schema that is not this operator's; credentials are not touched while a migration runs.
 */
import { durationMs } from "@memflow/crds";
import type { STORE_CONDITIONS, StoreSpec } from "@memflow/crds";
import type { ClaimOf } from "../../api/conditions.ts";
import type { ClaimReason, StoreConditionType } from "./claim-reason.ts";
import { planCredential } from "./credential-plan.ts";
import type { CredentialStep } from "./credential-plan.ts";
import { AUDIENCES, credentialsSecretName } from "./store-observation.ts";
import type {
  Audience,
  AudienceObservation,
  SettingsObservation,
  StoreObservation,
} from "./store-observation.ts";
import { versionText } from "./version-text.ts";

/** One thing to do; then look again. */
export type StoreStep =
  | { readonly kind: "Migrate" }
  | { readonly kind: "WriteSettings"; readonly settings: SettingsObservation }
  | AudienceStep;

/** One that gives an audience what it needs. */
export type AudienceStep =
  | { readonly kind: "Credential"; readonly audience: Audience; readonly step: CredentialStep }
  /** Given and Shared: rights for the role, then the Secret. */
  | { readonly kind: "Grant"; readonly audience: Audience }
  | { readonly kind: "WriteSecret"; readonly audience: Audience };

export type StoreClaim = ClaimOf<typeof STORE_CONDITIONS>;

export interface StorePlan {
  readonly step: StoreStep | undefined;
  readonly claims: readonly StoreClaim[];
  /** Reached, of this version: other reconcilers may use it. */
  readonly isUsable: boolean;
}

/** @see StorePlan */
export function planStore(observation: StoreObservation): StorePlan {
  const connected = claimConnected(observation);
  const schemaReady = claimSchemaReady(observation);
  const credentialsValid = claimCredentials(observation);
  const isUsable = connected.status === "True" && schemaReady.status === "True";
  return {
    step: connected.status === "True" ? nextStep(observation, schemaReady.reason) : undefined,
    claims: [
      claimReady([connected, schemaReady, credentialsValid]),
      connected,
      schemaReady,
      credentialsValid,
      claimMigrating(observation),
      claimPool(observation),
    ],
    isUsable,
  };
}

/** What a Store that is being deleted says of itself. */
export function claimDeleting(message: string): StoreClaim {
  return { type: "Ready", status: "False", reason: "Deleting", message };
}

function nextStep(observation: StoreObservation, reason: ClaimReason<"SchemaReady">): StoreStep | undefined {
  const { migration, schema } = observation;
  if (migration.isRunning || schema === undefined) return undefined;
  if (mayMigrate(observation)) return { kind: "Migrate" };
  return reason === "UpToDate" ? (credentialsStep(observation) ?? settingsStep(observation)) : undefined;
}

/** Rights are those of this version's tables: credentials of another version stay as they are. */
function credentialsStep({ audiences, credentialsFailure }: StoreObservation): StoreStep | undefined {
  if (audiences === undefined || credentialsFailure !== undefined) return undefined;
  for (const audience of AUDIENCES) {
    const step = audienceStep(audience, audiences[audience]);
    if (step !== undefined) return step;
  }
  return undefined;
}

function settingsStep({ spec, settings }: StoreObservation): StoreStep | undefined {
  const wanted = settingsOf(spec);
  const stands =
    settings?.completedSeconds === wanted.completedSeconds && settings.failedSeconds === wanted.failedSeconds;
  return stands ? undefined : { kind: "WriteSettings", settings: wanted };
}

function settingsOf({ retention }: Pick<StoreSpec, "retention">): SettingsObservation {
  const seconds = (duration: string): number => Math.ceil(durationMs(duration) / 1_000);
  return { completedSeconds: seconds(retention.completed), failedSeconds: seconds(retention.failed) };
}

function audienceStep(audience: Audience, observation: AudienceObservation): StoreStep | undefined {
  if (observation.kind === "Created") {
    const step = planCredential(observation.credential);
    return step === undefined ? undefined : { kind: "Credential", audience, step };
  }
  const { reading, login, secret, isGranted } = observation;
  if (reading !== "Read" || login === "Refused" || secret === "Foreign") return undefined;
  if (!isGranted) return { kind: "Grant", audience };
  return secret === "UpToDate" ? undefined : { kind: "WriteSecret", audience };
}

function mayMigrate(observation: StoreObservation): boolean {
  const { spec, schema, targetVersion, approvedVersion, migration } = observation;
  if (schema === undefined || schema.denial !== undefined || schema.version >= targetVersion) return false;
  if (!schema.exists && !spec.provisioning.createSchema) return false;
  if (spec.migrations.mode === "Verify") return false;
  if (spec.migrations.mode === "Manual" && approvedVersion !== versionText(targetVersion)) return false;
  if (migration.failure?.kind === "TooNew") return false;
  return migration.failedCount <= spec.migrations.backoffLimit && migration.waitMs <= 0;
}

function claimReady([connected, schemaReady, credentialsValid]: readonly [
  StoreClaim,
  StoreClaim,
  StoreClaim,
]): StoreClaim {
  const type = "Ready";
  if (connected.status !== "True")
    return { type, status: "False", reason: "NotConnected", message: connected.message };
  if (schemaReady.status !== "True")
    return { type, status: "False", reason: "SchemaNotReady", message: schemaReady.message };
  if (credentialsValid.status !== "True")
    return { type, status: "False", reason: "CredentialsNotValid", message: credentialsValid.message };
  return { type, status: "True", reason: "AllChecksPassed", message: connected.message };
}

type ClaimFor<Type extends StoreConditionType> = Extract<StoreClaim, { readonly type: Type }>;

function claimConnected({ connection }: StoreObservation): ClaimFor<"Connected"> {
  const status = connection.kind === "Reachable" ? "True" : "False";
  return { type: "Connected", status, reason: connection.kind, message: connection.message };
}

function claimSchemaReady(observation: StoreObservation): ClaimFor<"SchemaReady"> {
  const { connection, schema, migration, spec, targetVersion, approvedVersion } = observation;
  const claim = (
    reason: ClaimReason<"SchemaReady">,
    message: string,
    status: "True" | "False" | "Unknown" = "False",
  ): ClaimFor<"SchemaReady"> => ({ type: "SchemaReady", status, reason, message });
  if (connection.kind !== "Reachable" || schema === undefined) {
    return claim("NotConnected", "the schema is looked at once the server is reached", "Unknown");
  }
  if (schema.denial !== undefined) return claim("PermissionDenied", schema.denial);
  const name = `schema "${spec.schema}"`;
  const target = versionText(targetVersion);
  const found = schema.exists ? `${name} has version ${versionText(schema.version)}` : `${name} is not there`;
  if (schema.version === targetVersion) return claim("UpToDate", `${name} has version ${target}`, "True");
  if (schema.version > targetVersion || migration.failure?.kind === "TooNew") {
    const message =
      migration.failure?.message ?? `${found}, this operator brings ${target}: install a newer one`;
    return claim("SchemaTooNew", message);
  }
  if (migration.isRunning) return claim("MigrationRunning", `${found}, it is brought to ${target}`);
  if (!schema.exists && !spec.provisioning.createSchema) {
    return claim("SchemaMissing", `${found}: create it, or set provisioning.createSchema to true`);
  }
  if (spec.migrations.mode === "Verify") {
    return schema.exists
      ? claim(
          "VersionMismatch",
          `${found}, this operator needs ${target}: migrate it, or set migrations.mode to Auto`,
        )
      : claim("SchemaMissing", `${found}, and migrations.mode is Verify: create it, or set the mode to Auto`);
  }
  if (spec.migrations.mode === "Manual" && approvedVersion !== target) {
    return claim(
      "MigrationPending",
      `${found}: annotate the Store with memflow.io/approve-migration=${target}`,
    );
  }
  if (migration.failure === undefined)
    return claim("MigrationRunning", `${found}, it is brought to ${target}`);
  if (migration.failure.kind === "PermissionDenied")
    return claim("PermissionDenied", migration.failure.message);
  return claim("MigrationFailed", `${migration.failure.message}. ${attemptsText(observation)}`);
}

function attemptsText({ migration, spec }: StoreObservation): string {
  const { failedCount } = migration;
  const left = spec.migrations.backoffLimit + 1 - failedCount;
  const failed = `${failedCount} failed ${failedCount === 1 ? "attempt" : "attempts"}`;
  return left > 0
    ? `${failed}; tried again soon`
    : `${failed}; tried again once the Store, its annotation or its Secret changes`;
}

function claimCredentials(observation: StoreObservation): ClaimFor<"CredentialsValid"> {
  const { connection, schema, audiences, credentialsFailure, spec } = observation;
  const claim = (
    reason: ClaimReason<"CredentialsValid">,
    message: string,
    status: "True" | "False" | "Unknown" = "False",
  ): ClaimFor<"CredentialsValid"> => ({ type: "CredentialsValid", status, reason, message });
  if (connection.kind !== "Reachable") {
    return connection.loginRefused === true
      ? claim("LoginFailed", connection.message)
      : claim("NotConnected", "roles are looked at once the server is reached", "Unknown");
  }
  if (credentialsFailure !== undefined) return claim(credentialsFailure.kind, credentialsFailure.message);
  if (schema === undefined || schema.version === 0 || audiences === undefined) {
    return claim("NotConnected", "workers and gateway get their roles once the schema is there", "Unknown");
  }
  const problem = AUDIENCES.map((audience) =>
    problemOf(observation.name, audience, audiences[audience]),
  ).find((found) => found !== undefined);
  if (problem !== undefined) return claim(problem.reason, problem.message, problem.status);
  const rotating = AUDIENCES.filter((audience) => isRotating(audiences[audience]));
  if (rotating.length > 0) {
    const message = `new passwords of ${rotating.join(" and ")} are handed out; the roles before can log in while they are in use`;
    return claim("Rotating", message, "True");
  }
  if (spec.provisioning.roles === "Shared") {
    const message =
      "workers and gateway have all rights of the connection's own role: set provisioning.roles to Create or Given";
    return claim("SharedRole", message, "True");
  }
  return claim("RolesReady", "workers and gateway have a role each with the least rights", "True");
}

interface CredentialProblem {
  readonly reason: ClaimReason<"CredentialsValid">;
  readonly message: string;
  readonly status: "False" | "Unknown";
}

function problemOf(
  storeName: string,
  audience: Audience,
  observation: AudienceObservation,
): CredentialProblem | undefined {
  const problem = (
    reason: CredentialProblem["reason"],
    message: string,
    status: CredentialProblem["status"] = "False",
  ): CredentialProblem => ({ reason, message, status });
  const isForeign =
    observation.kind === "Created"
      ? observation.credential.secret.kind === "Foreign"
      : observation.secret === "Foreign";
  if (isForeign) {
    const message = `Secret "${credentialsSecretName(storeName, audience)}" belongs to somebody else: delete or rename it`;
    return problem("SecretNotFound", message);
  }
  if (observation.kind === "Created") {
    const { secret, login } = observation.credential;
    if (secret.kind === "Missing")
      return problem("NotConnected", `the ${audience}'s role is made`, "Unknown");
    return login === "Refused" ? problem("LoginFailed", `the ${audience}'s password is refused`) : undefined;
  }
  if (observation.reading === "Missing") return problem("SecretNotFound", observation.message);
  if (observation.reading === "Invalid") return problem("SecretNotFound", observation.message);
  if (observation.login === "Refused") return problem("LoginFailed", observation.message);
  return observation.secret === "Missing"
    ? problem("NotConnected", `the ${audience}'s Secret is made`, "Unknown")
    : undefined;
}

function isRotating(observation: AudienceObservation): boolean {
  if (observation.kind !== "Created") return false;
  const { secret } = observation.credential;
  return secret.kind === "Ours" && secret.previous !== undefined;
}

function claimMigrating({ migration, targetVersion }: StoreObservation): ClaimFor<"Migrating"> {
  const type = "Migrating";
  return migration.isRunning
    ? {
        type,
        status: "True",
        reason: "MigrationRunning",
        message: `to version ${versionText(targetVersion)}`,
      }
    : { type, status: "False", reason: "Idle", message: "" };
}

function claimPool(observation: StoreObservation): ClaimFor<"PoolExhausted"> {
  const { spec, pool } = observation;
  const type = "PoolExhausted";
  const each = Math.min(spec.pool.maxPerWorker, pool.workerMax);
  const demand = pool.replicasMax * each;
  const sum =
    `${pool.replicasMax} replicas of ${pool.queueCount} ${pool.queueCount === 1 ? "queue" : "queues"} may open ` +
    `${demand} connections (${each} each)`;
  if (demand > spec.pool.maxTotal) {
    const message = `${sum}, pool.maxTotal is ${spec.pool.maxTotal}: lower maxReplicas or raise maxTotal`;
    return { type, status: "True", reason: "OverMaxTotal", message };
  }
  if (pool.serverMax !== undefined && demand > pool.serverMax) {
    const message = `${sum}, the server allows ${pool.serverMax}: raise max_connections or use a pooler`;
    return { type, status: "True", reason: "OverServerLimit", message };
  }
  return { type, status: "False", reason: "WithinLimits", message: sum };
}
