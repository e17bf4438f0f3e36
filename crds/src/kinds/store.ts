/**
 * Store: one Postgres schema that MemFlow owns.
 *
 * A cluster reaches it by `connection`; `memflow dev` uses its embedded Postgres or DATABASE_URL in place of it, and
 * takes the schema from here.
 */
import { z } from "zod";
import { API_VERSION, duration, integer, keyRef, metadataNamed, resourceName, text } from "../fields.ts";

const SCHEMA_NAME = /^[a-z_][a-z0-9_]*$/u;
const FOREIGN_SCHEMAS: readonly string[] = ["public", "pg_catalog", "information_schema"];

const secretRef = z.strictObject({
  name: text(253).describe("Name of the Secret."),
  key: text(253).default("uri").describe("Key that holds a connection string (default: uri)."),
});

const connection = z
  .strictObject({
    secretRef: secretRef.optional().describe("A Secret with a connection string."),
    cnpgClusterRef: z
      .strictObject({
        name: resourceName.describe("Name of the CloudNativePG Cluster."),
        database: text(63).default("app").describe("Database of that cluster (default: app)."),
      })
      .optional()
      .describe("A CloudNativePG cluster; its app Secret is read."),
    tls: z
      .strictObject({
        mode: z.enum(["disable", "require", "verify-ca", "verify-full"]).default("verify-full"),
        caSecretRef: keyRef.optional(),
      })
      .optional()
      .describe("How the server is verified (default: verify-full)."),
  })
  .refine((value) => (value.secretRef === undefined) !== (value.cnpgClusterRef === undefined), {
    message: "must have exactly one of secretRef and cnpgClusterRef",
  });

const spec = z.strictObject({
  connection: connection.describe("Where the database is."),
  directConnection: z
    .strictObject({ secretRef })
    .optional()
    .describe("A second connection for LISTEN, where `connection` is a pooler in transaction mode."),
  schema: z
    .string()
    .min(1)
    .max(63)
    .regex(SCHEMA_NAME, 'must be lower-case letters, digits and "_", and not begin with a digit')
    .refine((name) => !FOREIGN_SCHEMAS.includes(name) && !name.startsWith("pg_"), {
      message: "must not be a schema that belongs to Postgres or to everyone",
    })
    .default("memflow")
    .describe("Schema that MemFlow owns (default: memflow)."),
  pool: z
    .strictObject({
      maxPerWorker: integer(1, 50).default(5).describe("Connections per worker, 1 to 50 (default: 5)."),
      maxTotal: integer(1, 10_000).default(80).describe("Connections of all workers (default: 80)."),
    })
    .optional(),
  retention: z
    .strictObject({
      completed: duration.default("168h").describe("How long completed runs stay (default: 168h)."),
      failed: duration.default("720h").describe("How long failed runs stay (default: 720h)."),
    })
    .optional()
    .describe("When finished runs are removed."),
  deletionPolicy: z
    .enum(["Retain", "DropSchema"])
    .default("Retain")
    .describe("What happens to the schema when the Store is deleted (default: Retain)."),
});

/** The whole resource. */
export const storeSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("Store"),
  metadata: metadataNamed(resourceName),
  spec,
});

/** A Store with its defaults filled in. */
export type Store = z.infer<typeof storeSchema>;
