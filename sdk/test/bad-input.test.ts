/**
 * Whatever is wrong with what is handed over, one typed error names the thing, the value and the remedy, and the database
 * is as it was.
 */
import { forgetProvisioned, resolveConnection } from "@memflow/engine";
import { checkStore, findPgBouncer, startPgBouncer } from "@memflow/engine/testing";
import {
  Client,
  ConnectionError,
  DuplicateJobError,
  DurationError,
  EntityError,
  MemFlow,
  MemFlowError,
  OptionError,
  PayloadError,
  SchemaError,
  Worker,
  WorkflowNotFoundError,
} from "@memflow/sdk";
import type { WorkflowHandle } from "@memflow/sdk";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { databaseUrl, eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "bad-input";

/** Rows of every table of the store. */
async function rowCounts(store: TestStore): Promise<Record<string, number>> {
  const tables = await store.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = $1 order by 1",
    [store.namespace],
  );
  const counts: [string, number][] = [];
  for (const { name } of tables) {
    const [row] = await store.query<{ count: number }>(`select count(*)::integer as count from "${name}"`);
    counts.push([name, row?.count ?? -1]);
  }
  return Object.fromEntries(counts);
}

/** A store with its schema and one run, so that a half-written row would be seen beside whole ones. */
async function standing(): Promise<TestStore> {
  const store = await setup();
  await store.client.workflow.start({ taskQueue: "nobody", workflowName: "waits", workflowId: "taken" });
  return store;
}

/** What is thrown, at once or later. */
async function thrownBy(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return undefined;
}

const circle: { self?: unknown } = {};
circle.self = circle;
const deep = JSON.parse(`${"[".repeat(200)}${"]".repeat(200)}`) as unknown;

const BAD_PAYLOADS: readonly [string, unknown, string][] = [
  ["a BigInt", { id: 1n }, "PAYLOAD_NOT_SERIALIZABLE"],
  ["a function", { call: () => 1 }, "PAYLOAD_NOT_SERIALIZABLE"],
  ["a symbol", [Symbol("s")], "PAYLOAD_NOT_SERIALIZABLE"],
  ["a Map", { map: new Map() }, "PAYLOAD_NOT_SERIALIZABLE"],
  ["NaN", { rate: Number.NaN }, "PAYLOAD_NOT_SERIALIZABLE"],
  ["a circle", circle, "PAYLOAD_NOT_SERIALIZABLE"],
  ["what is too deep", deep, "PAYLOAD_TOO_DEEP"],
  ["what is too large", "x".repeat(2 * 1024 * 1024), "PAYLOAD_TOO_LARGE"],
  ["a NUL character", { text: "a\0b" }, "PAYLOAD_NUL_CHARACTER"],
  ["a NUL character in a key", { "a\0b": 1 }, "PAYLOAD_NUL_CHARACTER"],
];

const BAD_DURATIONS: readonly unknown[] = [
  "soon",
  "",
  -1,
  "-5s",
  Number.NaN,
  Infinity,
  null,
  {},
  "200 years",
];

type ErrorClass = new (...args: never[]) => Error;

/** Calls of a client that are wrong: what they do, and what the error says. */
const BAD_CALLS: Readonly<Record<string, [(store: TestStore) => unknown, ErrorClass, object]>> = {
  "a start without a workflow name": [
    ({ client }) => client.workflow.start({ taskQueue: QUEUE }),
    OptionError,
    { code: "BAD_OPTION", field: "workflowName", value: undefined },
  ],
  "a start with an empty workflow name": [
    ({ client }) => client.workflow.start({ taskQueue: QUEUE, workflowName: "" }),
    OptionError,
    { code: "BAD_OPTION", field: "workflowName", value: "" },
  ],
  "a start without a task queue": [
    ({ client }) => client.workflow.start({ workflowName: "w" }),
    OptionError,
    { code: "BAD_OPTION", field: "taskQueue" },
  ],
  "a start with a NUL in its workflow id": [
    ({ client }) => client.workflow.start({ taskQueue: QUEUE, workflowName: "w", workflowId: "a\0b" }),
    OptionError,
    { code: "BAD_OPTION", field: "workflowId", value: "a\0b" },
  ],
  "a start with half a character in its workflow id": [
    ({ client }) => client.workflow.start({ taskQueue: QUEUE, workflowName: "w", workflowId: "a\ud83e" }),
    OptionError,
    { code: "BAD_OPTION", field: "workflowId" },
  ],
  "a start with a workflow id that no index takes": [
    ({ client }) =>
      client.workflow.start({ taskQueue: QUEUE, workflowName: "w", workflowId: "x".repeat(600) }),
    OptionError,
    { code: "BAD_OPTION", field: "workflowId" },
  ],
  "a start with arguments that are no list": [
    ({ client }) => client.workflow.start({ taskQueue: QUEUE, workflowName: "w", args: "one" as never }),
    OptionError,
    { code: "BAD_OPTION", field: "args", value: "one" },
  ],
  "a start with no attempts": [
    ({ client }) =>
      client.workflow.start({ taskQueue: QUEUE, workflowName: "w", config: { maximumAttempts: 0 } }),
    OptionError,
    { code: "BAD_OPTION", field: "config.maximumAttempts", value: 0 },
  ],
  "a start that is kept for a negative time": [
    ({ client }) => client.workflow.start({ taskQueue: QUEUE, workflowName: "w", expire: -1 }),
    OptionError,
    { code: "BAD_OPTION", field: "expire", value: -1 },
  ],
  "a start that is reserved for no time": [
    ({ client }) => client.workflow.start({ taskQueue: QUEUE, workflowName: "w", pending: 0 }),
    OptionError,
    { code: "BAD_OPTION", field: "pending" },
  ],
  "a start in a schema whose name no database takes": [
    ({ client }) => client.workflow.start({ taskQueue: QUEUE, workflowName: "w", namespace: "" }),
    SchemaError,
    { code: "BAD_SCHEMA_NAME" },
  ],
  "a start under the id of an open run": [
    ({ client }) => client.workflow.start({ taskQueue: QUEUE, workflowName: "w", workflowId: "taken" }),
    DuplicateJobError,
    { code: "DUPLICATE_JOB", workflowId: "taken", message: "Duplicate job: taken" },
  ],
  "the handle of a run that is not there": [
    ({ client }) => client.workflow.getHandle(QUEUE, "w", "nowhere"),
    WorkflowNotFoundError,
    { code: "WORKFLOW_NOT_FOUND", workflowId: "nowhere" },
  ],
  "a signal without an id": [
    ({ client }) => client.workflow.signal("", 1),
    OptionError,
    { code: "BAD_OPTION", field: "signalId", value: "" },
  ],
  "a durable call outside a workflow": [
    () => MemFlow.workflow.sleepFor(1),
    MemFlowError,
    { code: "NOT_IN_WORKFLOW" },
  ],
};

test("every wrong call of a client is one typed error and writes nothing", async () => {
  const store = await standing();
  // A refused start of a taken id has asked the database, which keeps the number of the flush for an hour.
  const before = { ...(await rowCounts(store)), flushes: 0 };
  for (const [what, [call, type, fields]] of Object.entries(BAD_CALLS)) {
    const error = await thrownBy(() => call(store));
    expect(error).toBeInstanceOf(type);
    expect({ what, error }).toMatchObject({ what, error: fields });
    if (error instanceof OptionError) expect(error.message).toContain(`"${error.field}"`);
    expect({ what, rows: { ...(await rowCounts(store)), flushes: 0 } }).toEqual({ what, rows: before });
  }
});

test("what JSON, Postgres or the limits can't hold is refused as argument and signal, and writes nothing", async () => {
  const store = await standing();
  const handle = await store.client.workflow.getHandle("taken");
  const before = await rowCounts(store);
  for (const [what, value, code] of BAD_PAYLOADS) {
    const calls: readonly [string, () => unknown][] = [
      [
        "args",
        () => store.client.workflow.start({ taskQueue: QUEUE, workflowName: "w", args: ["first", value] }),
      ],
      ['data of signal "s"', () => handle.signal("s", value)],
      ['data of signal "s"', () => store.client.workflow.signal("s", value)],
    ];
    for (const [field, call] of calls) {
      const error = await thrownBy(call);
      expect(error).toBeInstanceOf(PayloadError);
      expect({ what, error }).toMatchObject({ what, error: { code, field } });
    }
  }
  expect(await rowCounts(store)).toEqual(before);
});

test("a bad duration is refused with its field and value, and writes nothing", async () => {
  const store = await standing();
  const before = await rowCounts(store);
  for (const value of BAD_DURATIONS) {
    const given = value as string;
    const calls: readonly [string, () => unknown][] = [
      [
        "startDelay",
        () => store.client.workflow.start({ taskQueue: QUEUE, workflowName: "w", startDelay: given }),
      ],
      ["keepFor", () => store.client.workflow.signal("s", 1, undefined, { keepFor: given })],
    ];
    for (const [field, call] of calls) {
      const error = await thrownBy(call);
      expect(error).toBeInstanceOf(DurationError);
      expect(error).toMatchObject({ code: "BAD_DURATION", field, value });
    }
  }
  expect(await rowCounts(store)).toEqual(before);
});

const misused = MemFlow.workflow.proxyActivities({
  activities: {
    takes: (_value?: unknown): number => 1,
    gives: (what: string): unknown => BAD_PAYLOADS.find(([name]) => name === what)?.[1],
  },
});
/** As JavaScript, which checks no types, would call it. */
const missing = misused as unknown as { isMissing(): Promise<unknown> };

/** Misuses a durable call inside a workflow: the run sees the error, goes on, and records nothing of the call. */
const MISUSES: Readonly<Record<string, [() => unknown, object]>> = {
  "an activity that nobody has": [
    () => missing.isMissing(),
    {
      name: "ActivityNotFoundError",
      code: "ACTIVITY_NOT_FOUND",
      activityName: "isMissing",
      known: ["takes", "gives"],
    },
  ],
  "an argument that JSON can't hold": [
    () => misused.takes(1n),
    { name: "PayloadError", code: "PAYLOAD_NOT_SERIALIZABLE", field: 'arguments of activity "takes"' },
  ],
  "a bad duration": [
    () => MemFlow.workflow.sleepFor("soon"),
    { name: "DurationError", code: "BAD_DURATION", field: "duration", value: "soon" },
  ],
  "a wait without an id": [
    () => MemFlow.workflow.waitFor(""),
    { name: "OptionError", code: "BAD_OPTION", field: "signalId" },
  ],
  "a child without a name": [
    () => MemFlow.workflow.execChild({ taskQueue: QUEUE }),
    { name: "OptionError", code: "BAD_OPTION", field: "workflowName" },
  ],
  "a child of another store": [
    () => MemFlow.workflow.startChild({ taskQueue: QUEUE, workflowName: "w", namespace: "elsewhere" }),
    { name: "CrossStoreError", code: "CROSS_STORE", field: "namespace", otherStore: "elsewhere" },
  ],
  "a child with an argument that JSON can't hold": [
    () => MemFlow.workflow.startChild({ taskQueue: QUEUE, workflowName: "w", args: [new Set()] }),
    { name: "PayloadError", code: "PAYLOAD_NOT_SERIALIZABLE", field: "args", path: "args[0]" },
  ],
  "a hook that would start itself": [
    () => MemFlow.workflow.hook({ args: [], workflowName: "misuses" }),
    { code: "HOOK_LOOP" },
  ],
  "a signal with a NUL": [
    () => MemFlow.workflow.signal("s", "\0"),
    { name: "PayloadError", code: "PAYLOAD_NUL_CHARACTER", field: 'data of signal "s"' },
  ],
  ...Object.fromEntries(
    ["__proto__", "constructor.name", "a.prototype.b"].map((path) => [
      `the entity path ${path}`,
      [
        async () => await (await MemFlow.workflow.entity()).append(path, 1),
        { name: "EntityError", code: "ENTITY_FORBIDDEN_KEY", path },
      ],
    ]),
  ),
  "an entity value with a forbidden key": [
    async () => await (await MemFlow.workflow.entity()).merge(JSON.parse('{"a":{"__proto__":{}}}') as object),
    { name: "EntityError", code: "ENTITY_FORBIDDEN_KEY" },
  ],
  "an empty entity path": [
    async () => await (await MemFlow.workflow.entity()).get(""),
    { name: "EntityError", code: "ENTITY_BAD_PATH" },
  ],
};

test("misused calls inside a workflow throw where they are made; the run goes on, nothing of them is recorded", async () => {
  const store = await setup();
  const seen: Record<string, unknown> = {};
  const misuses = async (): Promise<string[]> => {
    for (const [what, [misuse]] of Object.entries(MISUSES)) {
      try {
        await misuse();
      } catch (error) {
        seen[what] = error;
      }
    }
    return [String(await misused.takes(1))];
  };
  await store.worker({ taskQueue: QUEUE, workflow: { misuses } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "misuses" });
  expect(await handle.result()).toEqual(["1"]);
  for (const [what, [, fields]] of Object.entries(MISUSES)) {
    expect(seen[what]).toBeInstanceOf(MemFlowError);
    expect(seen[what]).toMatchObject(fields);
  }
  expect(seen["an entity value with a forbidden key"]).toBeInstanceOf(EntityError);
  const history = await handle.history();
  expect(history.map(({ kind, name, position }) => [kind, name, position])).toEqual([
    ["activity_completed", "takes", 0],
  ]);
  const place = { source: resolveConnection(store.url), schema: store.namespace };
  expect(await checkStore(place)).toEqual([]);
});

test("a result that can't be held fails its run at once with a typed error", async () => {
  const store = await setup();
  const workflow = {
    returns: async (what: string) => await Promise.resolve(BAD_PAYLOADS.find(([name]) => name === what)?.[1]),
    asks: async (what: string) => await misused.gives(what),
  };
  await store.worker({ taskQueue: QUEUE, workflow });
  const start = (workflowName: string, what: string): Promise<WorkflowHandle> =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, args: [what] });
  for (const [what, , code] of BAD_PAYLOADS) {
    const returned = await thrownBy(async () => await (await start("returns", what)).result());
    const field = "result of the workflow";
    expect({ what, error: returned }).toMatchObject({ what, error: { name: "PayloadError", code, field } });
    const asking = await start("asks", what);
    const asked = await thrownBy(async () => await asking.result());
    expect(asked).toMatchObject({ name: "PayloadError", code, field: 'result of activity "gives"' });
    expect((await asking.history()).map(({ kind }) => kind)).toEqual(["activity_failed"]);
  }
  const place = { source: resolveConnection(store.url), schema: store.namespace };
  expect(await checkStore(place)).toEqual([]);
});

test("a workflow and an activity that no worker has are named in the log, and wait until one comes", async () => {
  const store = await setup();
  const lines: string[] = [];
  const options = { log: (_level: string, message: string) => void lines.push(message) };
  const { unknownActivity } = MemFlow.workflow.proxyActivities<{ unknownActivity(): string }>({
    taskQueue: "elsewhere",
  });
  const known = async (): Promise<string> => await unknownActivity();
  await store.worker({ taskQueue: QUEUE, workflow: { known }, options });
  await store.worker({
    taskQueue: "elsewhere",
    workflow: { other: async () => await Promise.resolve(1) },
    options,
  });
  const missing = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "knwon" });
  const asks = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "known" });
  await eventually("both are named", () => {
    const text = lines.join("\n");
    return (
      text.includes('workflow "knwon" on queue "bad-input"') &&
      text.includes('activity "unknownActivity" on queue "elsewhere"')
    );
  });
  expect([await missing.status(), await asks.status()]).toEqual([1, 1]);
  await store.worker({
    taskQueue: "elsewhere",
    activities: { unknownActivity: () => "found" },
    options: { ...options, buildId: "later" },
  });
  await store.worker({
    taskQueue: QUEUE,
    workflow: { knwon: async () => await Promise.resolve("typo") },
    options,
  });
  expect([await missing.result(), await asks.result()]).toEqual(["typo", "found"]);
});

/** Connections that can't work: for the client and for the worker alike. */
const BAD_CONNECTIONS: Readonly<Record<string, [() => unknown, object]>> = {
  "nothing at all": [() => undefined, { code: "BAD_CONNECTION" }],
  "a number": [() => 5432, { code: "BAD_CONNECTION" }],
  "an object without options": [() => ({ class: pg.Client }), { code: "BAD_CONNECTION" }],
  "a class that is none": [() => ({ class: "pg", options: {} }), { code: "BAD_CONNECTION" }],
  "a text that is no connection string": [() => "not a url", { code: "BAD_CONNECTION" }],
  "a port where nothing listens": [
    () => "postgresql://u:secret@127.0.0.1:1/db",
    { code: "DATABASE_UNREACHABLE", target: "127.0.0.1:1/db" },
  ],
  "a host that nobody knows": [
    () => "postgresql://u:secret@nowhere.invalid/db",
    { code: "DATABASE_UNREACHABLE" },
  ],
  "a database that is not there": [
    () => Object.assign(new URL(databaseUrl()), { pathname: "/not_there" }).href,
    { code: "BAD_CONNECTION" },
  ],
  "a database that is read-only": [
    () => `${databaseUrl()}?options=${encodeURIComponent("-c default_transaction_read_only=on")}`,
    { code: "DATABASE_READ_ONLY" },
  ],
};

test.each(Object.entries(BAD_CONNECTIONS))(
  "%s is refused to client and worker with one typed error, and nothing is made",
  async (_what, [connectionOf, fields]) => {
    const { namespace, query } = await setup();
    const connection = connectionOf() as string;
    const started = await thrownBy(
      async () =>
        await new Client({ connection, namespace }).workflow.start({ taskQueue: QUEUE, workflowName: "w" }),
    );
    const created = await thrownBy(
      async () =>
        await Worker.create({ connection, namespace, taskQueue: QUEUE, workflow: async function works() {} }),
    );
    for (const error of [started, created]) {
      expect(error).toBeInstanceOf(ConnectionError);
      expect(error).toMatchObject(fields);
      expect(String(error)).not.toContain("secret");
    }
    expect(await query("select from pg_namespace where nspname = $1", [namespace])).toEqual([]);
  },
);

test("a role that may not create the schema is told what an administrator runs; nothing is made", async () => {
  const { namespace, query, url } = await setup();
  const user = `r_${namespace}`;
  await query(`create role ${user} login password 'x'`);
  onTestFinished(async () => {
    const admin = new pg.Client({ connectionString: url });
    await admin.connect();
    await admin.query(`drop role ${user}`);
    await admin.end();
  });
  const connection = Object.assign(new URL(url), { username: user, password: "x" }).href;
  const error = await thrownBy(
    async () =>
      await new Client({ connection, namespace }).workflow.start({ taskQueue: QUEUE, workflowName: "w" }),
  );
  expect(error).toMatchObject({ name: "ConnectionError", code: "PERMISSION_DENIED" });
  expect((error as Error).message).toContain(`create schema "${namespace}" authorization "${user}"`);
  expect(await query("select from pg_namespace where nspname = $1", [namespace])).toEqual([]);
});

test("a schema of a newer version is refused to client and worker, and left as it is", async () => {
  const store = await standing();
  await MemFlow.shutdown();
  const [table] = await store.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = $1 and tablename like '%migrations%'",
    [store.namespace],
  );
  await store.query(`insert into "${table?.name}" (name, run_on) values ('9999_from_the_future', now())`);
  const before = await rowCounts(store);
  const { connection, namespace } = store;
  // As a process of its own would find it.
  forgetProvisioned();
  const started = await thrownBy(
    async () =>
      await new Client({ connection, namespace }).workflow.start({ taskQueue: QUEUE, workflowName: "w" }),
  );
  const created = await thrownBy(
    async () => await store.worker({ taskQueue: QUEUE, workflow: async function works() {} }),
  );
  for (const error of [started, created]) {
    expect(error).toBeInstanceOf(SchemaError);
    expect(error).toMatchObject({ code: "SCHEMA_TOO_NEW", schema: namespace, foundVersion: 9999 });
  }
  expect(await rowCounts(store)).toEqual(before);
});

test("a worker without workflows, queue or rights to execute is refused before anything is made", async () => {
  const { connection, namespace, query } = await setup();
  const works = async (): Promise<void> => await Promise.resolve();
  const refused: readonly [Parameters<typeof Worker.create>[0], object][] = [
    [
      { connection, namespace, taskQueue: "", workflow: works },
      { code: "BAD_OPTION", field: "taskQueue" },
    ],
    [
      { connection, namespace, taskQueue: QUEUE },
      { code: "BAD_OPTION", field: "workflow" },
    ],
    [
      { connection, namespace, taskQueue: QUEUE, workflow: {} },
      { code: "BAD_OPTION", field: "workflow" },
    ],
    [
      {
        connection,
        namespace,
        taskQueue: QUEUE,
        workflow: (
          () => async () =>
            undefined
        )(),
      },
      { code: "BAD_OPTION", field: "workflow.name" },
    ],
    [
      { connection, namespace: "x".repeat(200), taskQueue: QUEUE, workflow: works },
      { code: "BAD_SCHEMA_NAME" },
    ],
    [
      { connection: { ...connection, readonly: true }, namespace, taskQueue: QUEUE, workflow: works },
      { code: "BAD_CONNECTION" },
    ],
  ];
  for (const [config, fields] of refused) {
    const error = await thrownBy(async () => await Worker.create(config));
    expect(error).toBeInstanceOf(MemFlowError);
    expect(error).toMatchObject(fields);
  }
  expect(await query("select from pg_namespace where nspname = $1", [namespace])).toEqual([]);
});

const pgBouncer = findPgBouncer();

test.skipIf(pgBouncer === undefined)(
  "PgBouncer in transaction mode is found out and named; with a direct connection or polling runs go through it",
  async () => {
    const store = await setup();
    const pooler = await startPgBouncer(pgBouncer ?? "", store.url, "transaction");
    onTestFinished(async () => {
      await MemFlow.shutdown({ graceMs: 0 });
      await pooler.stop();
    });
    const connectionString = Object.assign(new URL(store.url), { host: `127.0.0.1:${pooler.port}` }).href;
    const { namespace } = store;
    const bare = { connectionString };
    const start = { taskQueue: QUEUE, workflowName: "sends", args: ["through the pooler"] };
    const error = await thrownBy(
      async () => await new Client({ connection: bare, namespace }).workflow.start(start),
    );
    expect(error).toMatchObject({ name: "ConnectionError", code: "POOLER_IN_TRANSACTION_MODE" });
    expect((error as Error).message).toMatch(/direct: .* polling: true/);
    expect(await store.query("select from pg_namespace where nspname = $1", [namespace])).toEqual([]);

    const sends = async (value: string): Promise<unknown> => {
      const memory = await MemFlow.workflow.entity();
      await memory.append("values", await misused.takes(value));
      const child = await MemFlow.workflow.execChild<string>({ workflowName: "child", args: [value] });
      return [child, await MemFlow.workflow.waitFor("go"), await memory.get()];
    };
    const child = async (value: string): Promise<string> => await Promise.resolve(`${value}!`);
    for (const connection of [
      { connectionString, direct: store.url },
      { connectionString, polling: true },
    ]) {
      const worker = await Worker.create({
        connection,
        namespace,
        taskQueue: QUEUE,
        workflow: { sends, child },
        options: { pollMs: 100, sweepMs: 200, beatMs: 500 },
      });
      const handle = await new Client({ connection, namespace }).workflow.start(start);
      await handle.signal("go", 1);
      expect(await handle.result()).toEqual(["through the pooler!", 1, { values: [1] }]);
      await worker.shutdown();
    }
  },
);
