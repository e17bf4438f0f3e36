/**
 * A gateway on a real Postgres for tests: a store of its own, users by their tokens, rights by a list.
 *
 * Promises that each answer which its client gets fits the schema of its operation and is documented.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { StoreClient } from "@memflow/engine";
import { testDatabaseUrl } from "@memflow/engine/testing";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import type { ScratchStore } from "@memflow/engine/testing/scratch-store";
import { Worker } from "@memflow/sdk";
import { expect, onTestFinished } from "vitest";
import { OPERATIONS, problemSchema, PROBLEMS } from "../api/index.ts";
import type { Operation } from "../api/index.ts";
import { ForbiddenError, UnauthenticatedError } from "../auth/index.ts";
import type { Access, AuditEntry, Gatekeeper, Subject } from "../auth/index.ts";
import { GatewayClient } from "../client/index.ts";
import type { Fetch } from "../client/index.ts";
import { createGateway } from "../http/gateway.ts";
import type { GatewayLimits } from "../http/gateway.ts";
import { problemsOf } from "../openapi/document.ts";
import { StoreAmbiguousError, StoreNotFoundError } from "../stores/index.ts";
import type { QueueDefinition, StoreEntry, Stores, WorkflowDefinition } from "../stores/index.ts";

/** What a user may do: `create workflows/runs order`, or `create workflows/runs` for all. */
export type Right = `${string} ${Access["resource"]}${string}`;

/** @see startTestGateway */
export interface TestGatewayOptions {
  readonly workflows?: readonly (Pick<WorkflowDefinition, "name" | "taskQueue"> &
    Partial<WorkflowDefinition>)[];
  readonly queues?: readonly QueueDefinition[];
  /** Rights by user; `root` may all. */
  readonly rights?: Readonly<Record<string, readonly Right[]>>;
  readonly limits?: Partial<GatewayLimits>;
  /** Names of Stores of the namespace (default: `main`); all are the same. */
  readonly stores?: readonly string[];
}

/** @see startTestGateway */
export interface TestGateway {
  readonly store: ScratchStore;
  readonly engine: StoreClient;
  readonly audit: readonly AuditEntry[];
  readonly failures: readonly string[];
  /** Its address. */
  url(): string;
  /** The client of a user. */
  as(user: string, options?: { readonly fetch?: Fetch }): GatewayClient;
  /** One request as it is, with root's token. */
  raw(path: string, init?: RequestInit): Promise<Response>;
  /** Workers for the queue `queue`, in this process. */
  work(workflows: Readonly<Record<string, unknown>>, taskQueue?: string): Promise<Worker>;
  /** Ends the server and its Store client, connections and all, and begins anew on the same port. */
  restart(): Promise<void>;
}

/** The Kubernetes namespace of tests. */
export const NAMESPACE = "shop";

/** Starts one; it ends with the test. */
export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const store = await makeScratchStore();
  const audit: AuditEntry[] = [];
  const failures: string[] = [];
  const gatekeeper = tokenGatekeeper(options.rights ?? {});
  let life = await begin(0);
  onTestFinished(() => life.end());

  async function begin(port: number) {
    const engine = await StoreClient.open(store.place.source, store.place.schema);
    const stopping = new AbortController();
    const app = createGateway({
      stores: storesOf(engine, options),
      gatekeeper,
      audit: { record: (entry) => audit.push(entry) },
      log: (level, message, facts) => {
        if (level === "error") failures.push(`${message} ${JSON.stringify(facts)}`);
      },
      limits: options.limits,
      stopping: stopping.signal,
    });
    const server = createServer(app);
    await listen(server, port);
    return {
      engine,
      port: (server.address() as AddressInfo).port,
      end: async () => {
        stopping.abort();
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        await engine.close();
      },
    };
  }

  const url = (): string => `http://127.0.0.1:${life.port}`;
  return {
    store,
    get engine() {
      return life.engine;
    },
    audit,
    failures,
    url,
    as: (user, { fetch: send = fetch as Fetch } = {}) =>
      new GatewayClient({
        server: url(),
        headers: () => ({ authorization: `Bearer ${user}` }),
        fetch: checkedFetch(send),
      }),
    raw: (path, init = {}) =>
      fetch(`${url()}${path}`, {
        ...init,
        headers: { authorization: "Bearer root", ...Object.fromEntries(new Headers(init.headers)) },
      }),
    work: async (workflows, taskQueue = "queue") => {
      const worker = await Worker.create({
        connection: testDatabaseUrl(),
        namespace: store.place.schema,
        taskQueue,
        workflow: workflows,
      });
      onTestFinished(() => worker.shutdown());
      return worker;
    },
    restart: async () => {
      const { port } = life;
      await life.end();
      life = await begin(port);
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}

function storesOf(client: StoreClient, options: TestGatewayOptions): Stores {
  const names = options.stores ?? ["main"];
  const definitions = (options.workflows ?? []).map((workflow) => ({
    workflowName: workflow.name,
    suspended: false,
    ...workflow,
  }));
  const queues = options.queues ?? [];
  const entries: StoreEntry[] = names.map((name) => ({
    namespace: NAMESPACE,
    name,
    client,
    workflows: () => definitions,
    workflowOf: (type, taskQueue) => {
      const found = definitions.filter(
        (one) => one.workflowName === type && (taskQueue === undefined || one.taskQueue === taskQueue),
      );
      return found.length === 1 ? found[0] : undefined;
    },
    queues: () => queues,
  }));
  return {
    resolve: async (namespace, name) => {
      const mine = namespace === NAMESPACE ? entries : [];
      const [first] = name === undefined ? mine : mine.filter((entry) => entry.name === name);
      if (first === undefined) throw new StoreNotFoundError(namespace, name);
      if (name === undefined && mine.length > 1) throw new StoreAmbiguousError(namespace, names);
      return first;
    },
    list: async (namespace) => (namespace === NAMESPACE ? entries : []),
  };
}

/** A bearer token is a user's name. */
function tokenGatekeeper(rights: Readonly<Record<string, readonly string[]>>): Gatekeeper {
  const may = async (subject: Subject, { verb, resource, name }: Access): Promise<boolean> =>
    subject.name === "root" ||
    (rights[subject.name] ?? []).some(
      (right) => right === `${verb} ${resource}` || right === `${verb} ${resource} ${name ?? ""}`,
    );
  return {
    identify: async (request: IncomingMessage) => {
      const [, name] = /^Bearer (\w+)$/u.exec(request.headers.authorization ?? "") ?? [];
      if (name === undefined) throw new UnauthenticatedError("no token");
      return { name, groups: ["testers"], via: "token" };
    },
    may,
    admit: async (subject, access) => {
      if (!(await may(subject, access))) throw new ForbiddenError(subject, access);
    },
  };
}

/** Holds each answer against the document's source. */
function checkedFetch(send: Fetch): Fetch {
  return async (url, init) => {
    const response = await send(url, init);
    const operation = operationOf(init.method, new URL(url).pathname);
    const type = response.headers.get("content-type") ?? "";
    if (type.startsWith("text/event-stream")) return response;
    const text = await response.clone().text();
    if (response.status >= 400) {
      const problem = problemSchema.strict().parse(JSON.parse(text));
      expect(problemsOf(operation)).toContain(problem.code);
      expect(problem.status).toBe(PROBLEMS[problem.code as keyof typeof PROBLEMS].status);
    } else {
      const answer = operation.answers[response.status as 200];
      expect(answer, `${operation.operationId} answered ${response.status}`).toBeDefined();
      answer?.schema?.parse(JSON.parse(text));
    }
    return response;
  };
}

function operationOf(method: string, path: string): Operation {
  const matching = Object.values<Operation>(OPERATIONS)
    .filter((operation) => operation.method.toUpperCase() === method)
    .filter(({ path: pattern }) =>
      new RegExp(`^${pattern.replaceAll(/\{\w+\}/gu, "[^/]+").replaceAll(":", "[:]")}$`, "u").test(path),
    )
    .toSorted((one, other) => Number(other.path.includes(":")) - Number(one.path.includes(":")));
  const [operation] = matching;
  if (operation === undefined) throw new Error(`no operation ${method} ${path}`);
  return operation;
}
