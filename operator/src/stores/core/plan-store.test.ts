/** What a Store says and does, by what is known of it. */
import { storeSchema, STORE_CONDITIONS } from "@memflow/crds";
import { expect, test } from "vitest";
import type { CredentialObservation } from "./credential-plan.ts";
import { claimDeleting, planStore } from "./plan-store.ts";
import type { AudienceObservation, StoreObservation } from "./store-observation.ts";

const CREDENTIAL: CredentialObservation = {
  secret: { kind: "Ours", slot: "a", rotatedMs: 0, request: undefined, previous: undefined, upToDate: true },
  roles: { a: { canLogin: true, sessionCount: 1 }, b: undefined },
  login: "Accepted",
  isGranted: true,
  isRestored: false,
  previousUnusedMs: 0,
  request: undefined,
  nowMs: 0,
  rotateEveryMs: 1_000,
};
const TAKEN: AudienceObservation = {
  kind: "Taken",
  reading: "Read",
  message: "",
  login: "Accepted",
  secret: "UpToDate",
  isGranted: true,
};

function specOf(changes: Readonly<Record<string, unknown>> = {}): StoreObservation["spec"] {
  const connection = { secretRef: { name: "db" } };
  const metadata = { name: "main" };
  return storeSchema.parse({
    apiVersion: "memflow.io/v1alpha1",
    kind: "Store",
    metadata,
    spec: { connection, ...changes },
  }).spec;
}

function created(change: Partial<CredentialObservation> = {}): AudienceObservation {
  return { kind: "Created", credential: { ...CREDENTIAL, ...change } };
}

const READY: StoreObservation = {
  name: "main",
  spec: specOf(),
  targetVersion: 12,
  approvedVersion: undefined,
  connection: { kind: "Reachable", message: "db" },
  schema: { exists: true, version: 12 },
  settings: { completedSeconds: 604_800, failedSeconds: 2_592_000 },
  migration: { isRunning: false, failedCount: 0, failure: undefined, waitMs: 0 },
  audiences: { worker: created(), gateway: created() },
  credentialsFailure: undefined,
  pool: { queueCount: 1, replicasMax: 10, workerMax: 8, serverMax: 97 },
};

const OLD = { exists: true, version: 11 } as const;
const DENIED = { exists: true, version: 0, denial: "sql" } as const;
const ABSENT = { exists: false, version: 0 } as const;
const failed = (
  kind: "Failed" | "PermissionDenied" | "TooNew",
  failedCount = 1,
): StoreObservation["migration"] => ({
  isRunning: false,
  failedCount,
  failure: { kind, message: "the database's answer" },
  waitMs: 5_000,
});
const bothTaken = (change: Partial<AudienceObservation>): StoreObservation["audiences"] => {
  const taken = { ...TAKEN, ...change } as AudienceObservation;
  return { worker: taken, gateway: taken };
};
const mode = (migrations: string): StoreObservation["spec"] => specOf({ migrations: { mode: migrations } });
const refusing = { reading: "Missing", message: "Secret is gone" } as const;

/** What is different, the claim that it leads to, and the step. */
const CASES: readonly (readonly [string, Partial<StoreObservation>, string, string?])[] = [
  ["all is well", {}, "Ready=True/AllChecksPassed"],
  ["all is well", {}, "Connected=True/Reachable"],
  ["all is well", {}, "SchemaReady=True/UpToDate"],
  ["all is well", {}, "CredentialsValid=True/RolesReady"],
  ["all is well", {}, "Migrating=False/Idle"],
  ["all is well", {}, "PoolExhausted=False/WithinLimits"],
  ...(
    [
      "SecretNotFound",
      "SecretInvalid",
      "Unreachable",
      "TLSFailed",
      "ReadOnly",
      "UnsupportedServer",
      "PoolerInTransactionMode",
    ] as const
  ).map((kind) => [kind, { connection: { kind, message: "" } }, `Connected=False/${kind}`] as const),
  ["away", { connection: { kind: "Unreachable", message: "" } }, "Ready=False/NotConnected"],
  ["away", { connection: { kind: "Unreachable", message: "" } }, "SchemaReady=Unknown/NotConnected"],
  ["away", { connection: { kind: "Unreachable", message: "" } }, "CredentialsValid=Unknown/NotConnected"],
  [
    "the operator's own password is refused",
    { connection: { kind: "Unreachable", message: "", loginRefused: true } },
    "CredentialsValid=False/LoginFailed",
  ],
  ["an old schema", { schema: OLD }, "SchemaReady=False/MigrationRunning", "Migrate"],
  ["an old schema", { schema: OLD }, "Ready=False/SchemaNotReady", "Migrate"],
  ["no schema", { schema: ABSENT, audiences: undefined }, "CredentialsValid=Unknown/NotConnected", "Migrate"],
  [
    "a migration that runs",
    { schema: OLD, migration: { ...READY.migration, isRunning: true } },
    "Migrating=True/MigrationRunning",
  ],
  [
    "a migration that runs",
    { schema: OLD, migration: { ...READY.migration, isRunning: true } },
    "SchemaReady=False/MigrationRunning",
  ],
  ["mode Manual", { schema: OLD, spec: mode("Manual") }, "SchemaReady=False/MigrationPending"],
  [
    "mode Manual, approved for another version",
    { schema: OLD, spec: mode("Manual"), approvedVersion: "0011" },
    "SchemaReady=False/MigrationPending",
  ],
  [
    "mode Manual, approved",
    { schema: OLD, spec: mode("Manual"), approvedVersion: "0012" },
    "SchemaReady=False/MigrationRunning",
    "Migrate",
  ],
  ["mode Verify", { schema: OLD, spec: mode("Verify") }, "SchemaReady=False/VersionMismatch"],
  ["mode Verify without schema", { schema: ABSENT, spec: mode("Verify") }, "SchemaReady=False/SchemaMissing"],
  ["a newer schema", { schema: { exists: true, version: 13 } }, "SchemaReady=False/SchemaTooNew"],
  [
    "somebody else's migrations",
    { schema: OLD, migration: failed("TooNew") },
    "SchemaReady=False/SchemaTooNew",
  ],
  [
    "no schema, and none to be created",
    { schema: ABSENT, audiences: undefined, spec: specOf({ provisioning: { createSchema: false } }) },
    "SchemaReady=False/SchemaMissing",
  ],
  ["a failed attempt", { schema: OLD, migration: failed("Failed") }, "SchemaReady=False/MigrationFailed"],
  [
    "a failed attempt, some time ago",
    { schema: OLD, migration: { ...failed("Failed", 3), waitMs: 0 } },
    "SchemaReady=False/MigrationFailed",
    "Migrate",
  ],
  [
    "too many failed attempts",
    { schema: OLD, migration: { ...failed("Failed", 4), waitMs: 0 } },
    "SchemaReady=False/MigrationFailed",
  ],
  [
    "a right that lacks",
    { schema: OLD, migration: failed("PermissionDenied") },
    "SchemaReady=False/PermissionDenied",
  ],
  [
    "the schema may not be looked at",
    { schema: DENIED, audiences: undefined },
    "SchemaReady=False/PermissionDenied",
  ],
  [
    "no right to make roles",
    { credentialsFailure: { kind: "PermissionDenied", message: "sql" } },
    "CredentialsValid=False/PermissionDenied",
  ],
  [
    "no right to make roles",
    { credentialsFailure: { kind: "PermissionDenied", message: "sql" } },
    "Ready=False/CredentialsNotValid",
  ],
  [
    "a password that stays refused",
    { audiences: { worker: created({ login: "Refused", isRestored: true }), gateway: created() } },
    "CredentialsValid=False/LoginFailed",
  ],
  [
    "no Secret yet",
    { audiences: { worker: created({ secret: { kind: "Missing" } }), gateway: created() } },
    "CredentialsValid=Unknown/NotConnected",
    "Credential",
  ],
  [
    "somebody else's Secret",
    { audiences: { worker: created(), gateway: created({ secret: { kind: "Foreign" } }) } },
    "CredentialsValid=False/SecretNotFound",
  ],
  [
    "a rotation under way",
    {
      audiences: {
        worker: created({
          secret: { ...CREDENTIAL.secret, previous: "b" } as CredentialObservation["secret"],
        }),
        gateway: created(),
      },
    },
    "CredentialsValid=True/Rotating",
  ],
  [
    "shared roles",
    { spec: specOf({ provisioning: { roles: "Shared" } }), audiences: bothTaken({}) },
    "CredentialsValid=True/SharedRole",
  ],
  [
    "a given role's Secret is gone",
    { audiences: bothTaken(refusing) },
    "CredentialsValid=False/SecretNotFound",
  ],
  [
    "a given role's Secret can't be read",
    { audiences: bothTaken({ ...refusing, reading: "Invalid" }) },
    "CredentialsValid=False/SecretNotFound",
  ],
  [
    "a given role is refused",
    { audiences: bothTaken({ login: "Refused" }) },
    "CredentialsValid=False/LoginFailed",
  ],
  [
    "a given role without rights",
    { audiences: bothTaken({ isGranted: false }) },
    "CredentialsValid=True/RolesReady",
    "Grant",
  ],
  [
    "a given role whose Secret is not handed on",
    { audiences: bothTaken({ secret: "Missing" }) },
    "CredentialsValid=Unknown/NotConnected",
    "WriteSecret",
  ],
  [
    "somebody else's Secret in the way of a given role",
    { audiences: bothTaken({ secret: "Foreign" }) },
    "CredentialsValid=False/SecretNotFound",
  ],
  [
    "more replicas than connections",
    { pool: { queueCount: 2, replicasMax: 17, workerMax: 8, serverMax: 97 } },
    "PoolExhausted=True/OverMaxTotal",
  ],
  [
    "a small server",
    { pool: { queueCount: 1, replicasMax: 10, workerMax: 8, serverMax: 49 } },
    "PoolExhausted=True/OverServerLimit",
  ],
];

for (const [title, change, claim, step] of CASES) {
  test(`${title}: ${claim}`, () => {
    const plan = planStore({ ...READY, ...change });
    const claims = plan.claims.map(({ type, status, reason }) => `${type}=${status}/${reason}`);
    expect(claims).toContain(claim);
    expect(plan.step?.kind).toBe(step);
    expect(plan.isUsable).toBe(
      claims.includes("Connected=True/Reachable") && claims.includes("SchemaReady=True/UpToDate"),
    );
  });
}

test("each reason that the kind documents has a case above", () => {
  const documented = Object.entries(STORE_CONDITIONS).flatMap(([type, { reasons }]) =>
    Object.keys(reasons).map((reason) => `${type}/${reason}`),
  );
  const deleting = claimDeleting("");
  const shown = CASES.map(([, , claim]) => claim.replace(/=\w+/u, ""));
  shown.push(`${deleting.type}/${deleting.reason}`);
  expect([...new Set(shown)].toSorted()).toEqual(documented.toSorted());
});

test("credentials of a schema of another version are not touched", () => {
  const audiences = { worker: created({ login: "Refused" }), gateway: created() };
  expect(planStore({ ...READY, audiences }).step).toMatchObject({ step: { kind: "Restore" } });
  expect(planStore({ ...READY, schema: OLD, spec: mode("Manual"), audiences }).step).toBeUndefined();
  expect(planStore({ ...READY, schema: { exists: true, version: 13 }, audiences }).step).toBeUndefined();
});

test("nothing is done while a migration runs", () => {
  const audiences = { worker: created({ login: "Refused" }), gateway: created() };
  const migration = { ...READY.migration, isRunning: true };
  expect(planStore({ ...READY, audiences, migration }).step).toBeUndefined();
});

test("a worker is counted with what it opens, not with what it might", () => {
  const spec = specOf({ pool: { maxPerWorker: 50, maxTotal: 80 } });
  const claim = planStore({ ...READY, spec }).claims.find(({ type }) => type === "PoolExhausted");
  expect(claim).toMatchObject({
    reason: "WithinLimits",
    message: expect.stringContaining("80 connections (8 each)"),
  });
});

test("retention that the database has otherwise is written, once credentials are in order", () => {
  const spec = specOf({ retention: { completed: "90s", failed: "2m1500ms" } });
  const settings = { completedSeconds: 90, failedSeconds: 122 };
  expect(planStore({ ...READY, spec }).step).toEqual({ kind: "WriteSettings", settings });
  expect(planStore({ ...READY, spec, settings }).step).toBeUndefined();
  expect(planStore({ ...READY, spec, settings: { ...settings, failedSeconds: 1 } }).step?.kind).toBe(
    "WriteSettings",
  );
  const audiences = { worker: created({ login: "Refused" }), gateway: created() };
  expect(planStore({ ...READY, spec, audiences }).step?.kind).toBe("Credential");
  expect(
    planStore({ ...READY, spec: { ...spec, migrations: mode("Verify").migrations }, schema: OLD }).step,
  ).toBeUndefined();
});
