/**
 * A Kubernetes namespace with one of everything the operator looks after, and a picture of it that two such can be compared by.
 *
 * The picture has the objects, statuses and rows as they are, but for what differs between any two: names of the
 * namespace, uids, times, passwords. Figures of scaling that depend on when somebody looked are left out.
 */
import { SCHEDULES, STORES, TASK_QUEUES, WORKFLOWS } from "@memflow/operator/api";
import {
  CONFIG_MAPS,
  CONTROLLER_REVISIONS,
  DEPLOYMENTS,
  NAMESPACES,
  POD_DISRUPTION_BUDGETS,
  SECRETS,
  SERVICE_ACCOUNTS,
} from "@memflow/operator/kube";
import type { KubeClient, KubeObject, ResourceType, Secret } from "@memflow/operator/kube";
import pg from "pg";

/** What a world is made in. */
export interface WorldPlace {
  readonly client: KubeClient;
  /** Connection string of an owner who may make roles. */
  readonly databaseUrl: string;
  /** Connections to it. */
  readonly pool: pg.Pool;
}

/** What there is, by plural; rows under `database`. */
export interface WorldPicture {
  readonly database: unknown;
  readonly [plural: string]: unknown;
}

type Spec = Readonly<Record<string, unknown>>;
/** What is read of a status. */
interface Status {
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
  }[];
  readonly versions?: readonly Readonly<Record<string, unknown>>[];
  readonly scaling?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}
type Subject = KubeObject & { readonly spec?: Spec; readonly status?: Status };

const API_VERSION = "memflow.io/v1alpha1";
const MANAGER = "scenario";
const RUN_COUNT = 3;
const OURS = [SCHEDULES, WORKFLOWS, TASK_QUEUES, STORES] as readonly ResourceType<KubeObject>[];
const PICTURED = [
  ...OURS,
  CONFIG_MAPS,
  CONTROLLER_REVISIONS,
  DEPLOYMENTS,
  POD_DISRUPTION_BUDGETS,
  SECRETS,
  SERVICE_ACCOUNTS,
] as readonly ResourceType<KubeObject>[];
/** Made by Kubernetes in each namespace. */
const FOREIGN: readonly string[] = ["kube-root-ca.crt", "default"];
const UNDEFINED_TABLE = "42P01";
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gu;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/gu;
/** Of a gate's run: it has the uid of the queue in it. */
const GATE_HASH = /(memflow-gate:[^"]*:)[0-9a-f]+/gu;

/** @see WorldPlace */
export class OperatedWorld {
  readonly namespace: string;
  readonly #place: WorldPlace;

  constructor(namespace: string, place: WorldPlace) {
    this.namespace = namespace;
    this.#place = place;
  }

  get schema(): string {
    return this.namespace.replaceAll("-", "_");
  }

  /** Makes the namespace and everything in it. */
  async create(): Promise<void> {
    const { client, databaseUrl } = this.#place;
    await client.create(NAMESPACES, { metadata: { name: this.namespace } }, { fieldManager: MANAGER });
    await this.#apply(SECRETS, "postgres", { stringData: { uri: databaseUrl } });
    await this.#apply(STORES, "main", {
      spec: {
        connection: { secretRef: { name: "postgres" }, tls: { mode: "disable" } },
        schema: this.schema,
        deletionPolicy: "DropSchema",
      },
    });
    await this.#applyCode("one");
    const when = { cron: ["0 3 * * *"] };
    await this.#apply(SCHEDULES, "nightly", { spec: { workflowRef: { name: "hello" }, when } });
  }

  /** Another build for both queues, and more work than the workers of one of them can take. */
  async change(): Promise<void> {
    await this.#applyCode("two");
    await this.#place.pool.query(startRuns(this.schema), [RUN_COUNT]);
  }

  /** Another text in the code of both queues: another build. */
  async recode(text: string): Promise<void> {
    await this.#applyCode(text);
  }

  /** Deletes all that the operator looks after. */
  async remove(): Promise<void> {
    const names = {
      schedules: ["nightly"],
      workflows: ["hello"],
      taskqueues: ["image", "inline"],
      stores: ["main"],
    };
    for (const type of OURS)
      for (const name of names[type.plural as keyof typeof names])
        await this.#place.client.delete(type, { namespace: this.namespace, name });
  }

  /** What a gate's worker would do. */
  async passGates(): Promise<void> {
    const schema = pg.escapeIdentifier(this.schema);
    const passing = this.#place.pool.query(
      `update ${schema}.runs set status = 'completed', closed_at = clock_timestamp(), ready_at = null
       where status = 'running' and workflow_id like 'memflow-gate:%'`,
    );
    await unlessMissing(passing);
  }

  async picture(): Promise<WorldPicture> {
    const { client } = this.#place;
    const { namespace } = this;
    const listed = await Promise.all(
      PICTURED.map(async (type) => {
        const { items } = await client.list(type, { namespace });
        const own = items.filter(({ metadata }) => !FOREIGN.includes(metadata?.name ?? ""));
        return [type.plural, own.map((object) => plain(type.plural, object))] as const;
      }),
    );
    const whole = { ...Object.fromEntries(listed), database: await this.#rows() };
    const text = JSON.stringify(whole)
      .replaceAll(namespace, "<namespace>")
      .replaceAll(this.schema, "<schema>")
      .replaceAll(UUID, "<uid>")
      .replaceAll(TIME, "<time>")
      .replaceAll(GATE_HASH, "$1<hash>");
    return JSON.parse(text) as WorldPicture;
  }

  /** As who the Secret's connection string logs in: shown to work by doing it. */
  async login(secretName: string): Promise<string> {
    const { client } = this.#place;
    const secret: Secret = await client.get(SECRETS, { namespace: this.namespace, name: secretName });
    const uri = Buffer.from(secret.data?.["uri"] ?? "", "base64").toString();
    const session = new pg.Client({ connectionString: uri });
    await session.connect();
    const { rows } = await session.query<{ role: string }>("select current_user::text as role");
    await session.end();
    return rows[0]?.role ?? "";
  }

  /** Roles of this world in the database. */
  async roles(): Promise<readonly string[]> {
    const { rows } = await this.#place.pool.query<{ rolname: string }>(
      `select rolname from pg_catalog.pg_roles
       where shobj_description(oid, 'pg_authid') = $1 order by rolname`,
      [`MemFlow: made by the operator for schema ${this.schema}`],
    );
    return rows.map(({ rolname }) => rolname);
  }

  async #applyCode(text: string): Promise<void> {
    const common = { storeRef: { name: "main" }, deletion: { timeout: "1s" } };
    const draining = { scaledownDelay: "0s", deleteDelay: "0s" };
    const behavior = { scaleDown: { stabilization: "0s" } };
    const scaling = { pollInterval: "1s", cooldown: "0s", behavior, targetBacklogPerReplica: 1 };
    await this.#apply(TASK_QUEUES, "image", {
      spec: {
        ...common,
        scaling: { ...scaling, minReplicas: 1, maxReplicas: 3 },
        versioning: { draining, rollout: { gate: { workflow: "hello" } } },
        workers: { source: { image: { ref: `example.com/workers:${text}` } } },
      },
    });
    await this.#apply(TASK_QUEUES, "inline", {
      spec: { ...common, scaling, versioning: { draining }, workers: { source: { code: {} } } },
    });
    const files = { "index.ts": `export async function hello() { return "${text}"; }` };
    await this.#apply(WORKFLOWS, "hello", {
      spec: { taskQueueRef: { name: "inline" }, code: { files } },
    });
  }

  async #apply<T extends KubeObject>(type: ResourceType<T>, name: string, rest: Spec): Promise<void> {
    const apiVersion = OURS.some(({ plural }) => plural === type.plural) ? API_VERSION : "v1";
    const metadata = { name, namespace: this.namespace };
    const object = { apiVersion, kind: type.kind, metadata, ...rest } as unknown as T;
    await this.#place.client.apply(type, object, { fieldManager: MANAGER });
  }

  async #rows(): Promise<unknown> {
    const rows = await unlessMissing(this.#readRows());
    return rows ?? { schema: "none", roles: (await this.roles()).length };
  }

  async #readRows(): Promise<unknown> {
    const schema = pg.escapeIdentifier(this.schema);
    const { rows } = await this.#place.pool.query<{ rows: unknown }>(`
      select json_build_object(
        'routes', (select json_agg(json_build_array(task_queue, build_id, role, share_percent) order by task_queue, build_id)
          from ${schema}.queue_builds),
        'definitions', (select json_agg(json_build_array(task_queue, workflow_name, resource, definition)
          order by task_queue, workflow_name) from ${schema}.workflow_definitions),
        'schedules', (select json_agg(json_build_array(schedule_id, orphaned, definition) order by schedule_id)
          from ${schema}.schedules),
        'runs', (select json_agg(json_build_array(workflow_id, workflow_name, task_queue, status) order by workflow_id)
          from ${schema}.runs)) as rows`);
    return rows[0]?.rows;
  }
}

/** Undefined while there is no schema yet, or no more. */
async function unlessMissing<Answer>(asking: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asking;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === UNDEFINED_TABLE) return undefined;
    throw error;
  }
}

/** Starts as a client records them. */
function startRuns(schema: string): string {
  const place = pg.escapeIdentifier(schema);
  return `
    with made as (select gen_random_uuid() as run_id, number from generate_series(1, $1::integer) number),
      named as (insert into ${place}.workflow_ids (workflow_id, run_id)
        select 'work-' || number, run_id from made)
    insert into ${place}.runs (run_id, entity_id, ready_at, task_queue, workflow_name, workflow_id)
    select run_id, run_id, clock_timestamp(), 'image', 'hello', 'work-' || number from made`;
}

/** Without what differs between any two worlds, and what is the cluster's own doing. */
function plain(plural: string, object: KubeObject): unknown {
  const { metadata, status, ...rest } = object as Subject;
  const { name, labels, finalizers, ownerReferences } = metadata ?? {};
  const { "memflow.io/applied": _applied, ...annotations } = metadata?.annotations ?? {};
  const kept = { name, labels, finalizers, ownerReferences, annotations };
  switch (plural) {
    case "secrets": {
      const { data } = rest as { readonly data?: Readonly<Record<string, string>> };
      return { ...kept, keys: Object.keys(data ?? {}) };
    }
    case "deployments": {
      const { "deployment.kubernetes.io/revision": _revision, ...own } = annotations;
      const text = JSON.stringify(rest).replaceAll(
        /"memflow.io\/credentials":"[^"]*"/gu,
        '"memflow.io/credentials":"-"',
      );
      const { readyReplicas = 0 } = (status ?? {}) as { readonly readyReplicas?: number };
      return { ...kept, annotations: own, ...(JSON.parse(text) as object), readyReplicas };
    }
    case "poddisruptionbudgets":
      return { ...kept, ...rest };
    default:
      return { ...kept, ...rest, status: status && plainStatus(status) };
  }
}

function plainStatus({ conditions = [], versions = [], scaling, ...rest }: Status): unknown {
  const { credentialsHash: _hash, connections: _connections, lastCheckTime: _time, ...figures } = rest;
  return {
    ...figures,
    conditions: conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`).toSorted(),
    versions: versions
      .map(({ buildId, phase, revision, replicas, readyReplicas }) => ({
        buildId,
        phase,
        revision,
        replicas,
        readyReplicas,
      }))
      .toSorted((left, right) => (String(left.buildId) < String(right.buildId) ? -1 : 1)),
    scaling: scaling && { desired: scaling["desired"] },
  };
}
