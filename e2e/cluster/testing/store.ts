/**
 * A Store with a Postgres of its own in the namespace of a scenario, and manifests of queues in it.
 */
import type { TaskQueueSpec } from "@memflow/crds";
import { holds, STORES } from "@memflow/operator/api";
import { Client, MemFlow } from "@memflow/sdk";
import { startPostgres } from "./postgres.ts";
import type { ScenarioDatabase } from "./postgres.ts";
import type { ScenarioBench } from "./scenario-bench.ts";

/** A Store that is ready. */
export interface ScenarioStore {
  readonly name: string;
  readonly schema: string;
  readonly database: ScenarioDatabase;
  /** Of the database's owner; closed with the scenario. */
  readonly client: Client;
}

/** How it is made. */
export interface StoreOptions {
  /** Default `main`. */
  readonly name?: string;
  /** Default: a Postgres that is started for it. */
  readonly database?: ScenarioDatabase;
  /** Members of the spec besides connection and schema. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** Starts a database where none is given, applies a Store in it, and waits until it is ready. */
export async function startStore(bench: ScenarioBench, options: StoreOptions = {}): Promise<ScenarioStore> {
  const { name = "main", spec = {} } = options;
  const database = options.database ?? (await startPostgres(bench));
  const schema = name.replaceAll("-", "_");
  await bench.apply({
    apiVersion: "memflow.io/v1alpha1",
    kind: "Store",
    metadata: { name },
    spec: { connection: { secretRef: { name: "postgres" }, tls: { mode: "disable" } }, schema, ...spec },
  });
  await bench.waitFor({
    type: STORES,
    name,
    until: (store) => store !== undefined && holds(store, "Ready"),
  });
  const client = new Client({ connection: { connectionString: database.hostUri }, namespace: schema });
  bench.afterwards(() => MemFlow.shutdown());
  return { name, schema, database, client };
}

/** The builds to which runs are pinned, in the order of the names; null while no worker has claimed the run. */
export async function readBuilds(
  { schema, database }: Pick<ScenarioStore, "schema" | "database">,
  workflowIds: readonly string[],
): Promise<readonly (readonly [workflowId: string, buildId: string | null])[]> {
  const { rows } = await database.query(
    `select workflow_id, build_id from ${schema}.runs where workflow_id = any ($1)`,
    [workflowIds],
  );
  const builds = new Map(rows.map((row) => [row["workflow_id"], row["build_id"] as string | null]));
  return workflowIds.map((workflowId) => [workflowId, builds.get(workflowId) ?? null]);
}

/** A part of a spec, at any depth. */
export type DeepPartial<Value> = Value extends readonly unknown[]
  ? Value
  : Value extends object
    ? { readonly [Key in keyof Value]?: DeepPartial<Value[Key]> }
    : Value;

/** What a scenario says of a queue. */
export type TaskQueuePart = Omit<DeepPartial<TaskQueueSpec>, "storeRef"> & { readonly image?: string };

/** The manifest of a queue whose workers run an image, or inline code when none is named. */
export function taskQueue(
  name: string,
  store: Pick<ScenarioStore, "name">,
  { image, ...spec }: TaskQueuePart = {},
): object {
  const source = image === undefined ? { code: {} } : { image: { ref: image, pullPolicy: "Never" } };
  return {
    apiVersion: "memflow.io/v1alpha1",
    kind: "TaskQueue",
    metadata: { name },
    spec: { storeRef: { name: store.name }, ...spec, workers: { source, ...spec.workers } },
  };
}
