/**
 * Store: one Postgres schema that MemFlow owns.
 *
 * A cluster reaches it by `connection`; `memflow dev` uses its embedded Postgres or DATABASE_URL in place of it, and
 * takes the schema from here.
 */
import { z } from "zod";
import { conditions, observedGeneration } from "../conditions.ts";
import type { ConditionCatalog } from "../conditions.ts";
import { duration, notLonger } from "../durations.ts";
import {
  count,
  dataKey,
  dateTime,
  integer,
  keyRef,
  LABEL_MAX,
  objectName,
  objectRef,
  resourceName,
  text,
} from "../fields.ts";
import { AGE_COLUMN, MESSAGE_COLUMN, READY_COLUMN } from "../kind-definition.ts";
import type { KindDefinition } from "../kind-definition.ts";
import { formedText } from "../patterns.ts";
import { resource } from "../resource.ts";
import { exactlyOneOf, withRules } from "../rules.ts";

const RETENTION_MIN = "1m";
const RETENTION_MAX = "87600h";

/** A retention: how long a closed run stays. */
export const retentionDuration: z.ZodString = duration(RETENTION_MIN, RETENTION_MAX);

const secretRef = z.strictObject({
  name: objectName.describe("Name of the Secret, in the same Kubernetes namespace."),
  key: dataKey
    .default("uri")
    .describe(
      "Key that holds a connection string; where the Secret lacks it, its keys host, port, dbname, user (or username) and password are read.",
    ),
});

const tls = withRules(
  z.strictObject({
    mode: z
      .enum(["disable", "require", "verify-ca", "verify-full"])
      .default("verify-full")
      .describe("How the server is verified, in libpq's words."),
    caSecretRef: keyRef
      .optional()
      .describe("Certificate authority of the server, as PEM; without it the system's own are taken."),
  }),
  [
    {
      cel: "!has(self.caSecretRef) || self.mode in ['verify-ca', 'verify-full']",
      message: "must be left out unless mode is verify-ca or verify-full: no other mode reads it",
      field: ["caSecretRef"],
      holds: (self) => self.caSecretRef === undefined || ["verify-ca", "verify-full"].includes(self.mode),
    },
  ],
);

const connection = withRules(
  z.strictObject({
    secretRef: secretRef.optional().describe("A Secret with a connection string."),
    cnpgClusterRef: z
      .strictObject({
        name: resourceName.describe("Name of the CloudNativePG Cluster."),
        database: text(LABEL_MAX).default("app").describe("Database of that cluster."),
      })
      .optional()
      .describe("A CloudNativePG cluster; its app Secret is read."),
    tls: tls.prefault({}).describe("How the connection is protected."),
  }),
  [exactlyOneOf(["secretRef", "cnpgClusterRef"])],
);

const FOREIGN_SCHEMAS: readonly string[] = ["public", "information_schema"];

const schemaName = withRules(
  formedText({
    max: LABEL_MAX,
    pattern: /^[a-z_][a-z0-9_]*$/u,
    message: 'must be lower-case letters, digits and "_", and not begin with a digit',
  }),
  [
    {
      cel: `!self.startsWith('pg_') && !(self in [${FOREIGN_SCHEMAS.map((name) => `'${name}'`).join(", ")}])`,
      message: "must not be a schema that belongs to Postgres or to everyone: choose a name of your own",
      holds: (self) => !self.startsWith("pg_") && !FOREIGN_SCHEMAS.includes(self),
    },
    {
      cel: "self == oldSelf",
      message: "can't be changed: make another Store with the new schema and move its queues there",
      isTransition: true,
      holds: (self, oldSelf) => self === oldSelf,
    },
  ],
);

const provisioning = withRules(
  z.strictObject({
    createSchema: z.boolean().default(true).describe("Creates the schema when it is not there."),
    roles: z
      .enum(["Create", "Given", "Shared"])
      .default("Create")
      .describe(
        "Where the login roles of workers and gateway come from: made with the least rights, given by you, or the connection's own for all.",
      ),
    rotateEvery: duration("1h", RETENTION_MAX)
      .default("720h")
      .describe("How often the passwords of made roles are replaced."),
    workerSecretRef: secretRef.optional().describe("With roles Given: the Secret of the workers' role."),
    gatewaySecretRef: secretRef
      .optional()
      .describe("With roles Given: the Secret of the gateway's role; the workers' is taken when left out."),
  }),
  [
    {
      cel: "(self.roles == 'Given') == has(self.workerSecretRef)",
      message: "is required with roles Given, and must be left out otherwise",
      field: ["workerSecretRef"],
      holds: (self) => (self.roles === "Given") === (self.workerSecretRef !== undefined),
    },
    {
      cel: "!has(self.gatewaySecretRef) || self.roles == 'Given'",
      message: "must be left out unless roles is Given",
      field: ["gatewaySecretRef"],
      holds: (self) => self.gatewaySecretRef === undefined || self.roles === "Given",
    },
  ],
);

const migrations = withRules(
  z.strictObject({
    mode: z
      .enum(["Auto", "Manual", "Verify"])
      .default("Auto")
      .describe(
        "Auto applies pending migrations, Manual waits for the annotation memflow.io/approve-migration, Verify only reports.",
      ),
    lockTimeout: duration("1s", "10m")
      .default("10s")
      .describe("How long one statement may wait for a lock before the attempt is given up."),
    activeDeadline: duration("10s", "24h").default("15m").describe("How long one attempt may take in all."),
    backoffLimit: integer(0, 20)
      .default(3)
      .describe("Failed attempts before the operator waits for a change."),
  }),
  [notLonger("lockTimeout", "activeDeadline")],
);

const pool = withRules(
  z.strictObject({
    maxPerWorker: integer(4, 50)
      .default(5)
      .describe(
        "Connections that a worker may open: one each for its heartbeat, LISTEN, itself and its runs at least; more than 8 serve none.",
      ),
    maxTotal: integer(1, 10_000)
      .default(80)
      .describe("Connections of all workers; PoolExhausted warns when the queues may open more."),
  }),
  [
    {
      cel: "self.maxPerWorker <= self.maxTotal",
      message: "must be <= maxTotal",
      field: ["maxPerWorker"],
      holds: (self) => self.maxPerWorker <= self.maxTotal,
    },
  ],
);

const spec = z.strictObject({
  connection: connection.describe("Where the database is."),
  directConnection: z
    .strictObject({ secretRef: secretRef.describe("A Secret with a connection string.") })
    .optional()
    .describe(
      "A second connection for LISTEN and locks, where `connection` is a pooler in transaction mode.",
    ),
  schema: schemaName.default("memflow").describe("Schema that MemFlow owns. Can't be changed."),
  provisioning: provisioning.prefault({}).describe("What the operator makes in the database."),
  migrations: migrations.prefault({}).describe("How the schema is brought to the operator's version."),
  pool: pool.prefault({}).describe("How many connections workers open."),
  retention: z
    .strictObject({
      completed: retentionDuration.default("168h").describe("How long completed runs stay."),
      failed: retentionDuration.default("720h").describe("How long runs stay that ended otherwise."),
    })
    .prefault({})
    .describe("When closed runs are removed."),
  deletionPolicy: z
    .enum(["Retain", "DropSchema"])
    .default("Retain")
    .describe("What happens to the schema, with all its runs, when the Store is deleted."),
});

const status = z.strictObject({
  observedGeneration,
  schemaVersion: text(32).optional().describe("Version of the schema in the database."),
  targetVersion: text(32).optional().describe("Version that this operator brings."),
  serverVersion: text(64).optional().describe("Version of Postgres."),
  pooler: z
    .enum(["None", "Session", "Transaction"])
    .optional()
    .describe("What stands between MemFlow and the server."),
  credentialsHash: text(64).optional().describe("Changes when the credentials of workers change."),
  workerSecret: objectRef.optional().describe("Secret with the workers' connection string."),
  gatewaySecret: objectRef.optional().describe("Secret with the gateway's connection string."),
  connections: z
    .strictObject({
      used: count().describe("Connections open now."),
      max: count().describe("What the server allows."),
    })
    .optional()
    .describe("Connections of the server."),
  lastCheckTime: dateTime.optional().describe("When the database was looked at last."),
  conditions,
});

/** The conditions of a Store with their reasons. */
export const STORE_CONDITIONS = {
  Ready: {
    meaning:
      "The database is reached, its schema is of this operator's version, and workers have credentials.",
    reasons: {
      AllChecksPassed: "Nothing is to be done.",
      NotConnected: "See Connected.",
      SchemaNotReady: "See SchemaReady.",
      CredentialsNotValid: "See CredentialsValid.",
      Deleting: "The Store is being deleted.",
    },
  },
  Connected: {
    meaning: "The operator reaches the server.",
    reasons: {
      Reachable: "The last check succeeded.",
      SecretNotFound: "The Secret, or its key, is not there: create it with the name that the message gives.",
      SecretInvalid: "The Secret holds no connection string that can be read.",
      Unreachable: "No connection: the message has the server's or the network's answer.",
      TLSFailed: "The server could not be verified: give its authority in connection.tls.caSecretRef.",
      ReadOnly: "The server takes no writes: it is a standby, or it is failing over.",
      UnsupportedServer: "The server's version is too old.",
      PoolerInTransactionMode:
        "The connection is a pooler that gives each transaction another session: give a way around it in directConnection.",
    },
  },
  SchemaReady: {
    meaning: "The schema is there and of the version that this operator brings.",
    reasons: {
      UpToDate: "Nothing is pending.",
      NotConnected: "See Connected.",
      MigrationPending:
        "Mode Manual: set the annotation memflow.io/approve-migration to the version in the message.",
      MigrationRunning: "An attempt is under way.",
      MigrationFailed: "The last attempt failed; the message has the database's answer.",
      VersionMismatch: "Mode Verify: the schema is of another version.",
      SchemaTooNew: "The schema was made by a newer MemFlow: install that version of the operator.",
      SchemaMissing: "The schema is not there and provisioning.createSchema is false.",
      PermissionDenied:
        "The role may not create, change or read the schema; the message has the SQL for an administrator.",
    },
  },
  CredentialsValid: {
    meaning: "Workers and gateway have a role each that can log in.",
    reasons: {
      RolesReady: "Roles are there with the least rights.",
      SharedRole: "Warning: provisioning.roles is Shared, so workers have the connection's own rights.",
      NotConnected: "See Connected.",
      LoginFailed: "A role's password is refused.",
      SecretNotFound: "A Secret of a given role is not there.",
      PermissionDenied:
        "The role may not create roles; the message has the SQL, or set roles to Given or Shared.",
      Rotating: "New passwords are being handed out.",
    },
  },
  Migrating: {
    meaning: "A migration is under way.",
    reasons: {
      MigrationRunning: "An attempt is under way.",
      Idle: "No attempt is under way.",
    },
  },
  PoolExhausted: {
    meaning:
      "Warning: the queues of the Store may open more connections than they may or than the server has.",
    reasons: {
      WithinLimits: "All replicas together stay below pool.maxTotal and the server's own limit.",
      OverMaxTotal:
        "Replicas times what a worker opens (pool.maxPerWorker, 8 at most) is above pool.maxTotal: lower maxReplicas or raise maxTotal.",
      OverServerLimit: "The server allows fewer connections: raise max_connections or use a pooler.",
    },
  },
} as const satisfies ConditionCatalog;

/** The Events of a Store. */
export const STORE_EVENTS = {
  Connected: "The database is reached again, or for the first time.",
  ConnectionLost: "The database is not reached any more.",
  SchemaCreated: "The schema was created.",
  MigrationStarted: "An attempt to migrate began.",
  Migrated: "The schema is of the new version.",
  MigrationFailed: "An attempt to migrate failed.",
  RolesCreated: "The roles of workers and gateway were created.",
  CredentialsRotated: "The passwords were replaced.",
  PoolLimitExceeded: "The queues may open more connections than there are.",
  DeletionBlocked:
    "The schema can't be dropped yet: the note says why and what to do, and what follows if nothing is done.",
  SchemaDropped: "The schema was dropped with its Store, as deletionPolicy asks.",
  SchemaRetained: "The schema stays in the database after its Store was deleted.",
} as const;

/** Annotation: the version to which a Store with migrations.mode Manual may be migrated. */
export const APPROVE_MIGRATION_ANNOTATION = "memflow.io/approve-migration";

/** Annotation: each new value replaces the passwords of made roles once. */
export const ROTATE_CREDENTIALS_ANNOTATION = "memflow.io/rotate-credentials";

/** The whole resource. */
export const storeSchema = resource<StoreStatus, "Store", typeof spec>({
  kind: "Store",
  nameMax: LABEL_MAX,
  spec,
});

/** A Store with its defaults filled in. */
export type Store = z.output<typeof storeSchema>;
/** The spec of a Store with its defaults filled in. */
export type StoreSpec = z.output<typeof spec>;
/** What the operator says of a Store. */
export type StoreStatus = z.output<typeof status>;

export const STORE: KindDefinition = {
  kind: "Store",
  plural: "stores",
  singular: "store",
  shortNames: ["mfs"],
  description: "A Postgres schema that MemFlow owns: all runs, timers and memories of its queues are in it.",
  schema: storeSchema,
  spec,
  status,
  printerColumns: [
    READY_COLUMN,
    { name: "Schema", type: "string", jsonPath: ".spec.schema", description: "Schema in the database." },
    {
      name: "Version",
      type: "string",
      jsonPath: ".status.schemaVersion",
      description: "Version of the schema.",
    },
    {
      name: "Postgres",
      type: "string",
      jsonPath: ".status.serverVersion",
      description: "Version of the server.",
    },
    {
      name: "Connections",
      type: "integer",
      jsonPath: ".status.connections.used",
      description: "Connections open on the server.",
      isWide: true,
    },
    MESSAGE_COLUMN,
    AGE_COLUMN,
  ],
  conditions: STORE_CONDITIONS,
  events: STORE_EVENTS,
  annotations: {
    [APPROVE_MIGRATION_ANNOTATION]:
      "With migrations.mode Manual: the version to which the schema may be migrated.",
    [ROTATE_CREDENTIALS_ANNOTATION]:
      "Each new value, such as the time, replaces the passwords of made roles once, before rotateEvery.",
  },
};
