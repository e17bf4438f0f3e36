/** Sessions: they heal, they keep their order, and a transaction never changes its connection. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Duplex } from "node:stream";
import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { startTcpProxy } from "../testing/tcp-proxy.ts";
import { testDatabaseUrl, testDatabaseUrlWith, testSource, uniqueName } from "../testing/test-database.ts";
import { resolveConnection, withPooled } from "./connection-source.ts";
import type { ConnectionSource } from "./connection-source.ts";
import { outside } from "./outside.ts";
import { Session, SessionClosedError } from "./session.ts";
import type { SessionOptions } from "./session.ts";
import { classifySqlError } from "./sql-errors.ts";

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function openSession(options: Partial<SessionOptions> = {}): Session {
  const session = new Session({ source: testSource(), purpose: "test", ...options });
  cleanups.push(async () => session.destroy());
  return session;
}

async function openProxy() {
  const { hostname, port } = new URL(testDatabaseUrl());
  const proxy = await startTcpProxy({ host: hostname, port: Number(port || 5432) });
  cleanups.push(() => proxy.close());
  return { proxy, source: resolveConnection(testDatabaseUrlWith({ host: `127.0.0.1:${proxy.port}` })) };
}

async function backendOf(session: Session): Promise<number> {
  const { rows } = await session.query<{ pid: number }>({ text: "select pg_backend_pid() as pid" });
  return rows[0]?.pid ?? 0;
}

/** Ends a backend and waits until its session has noticed. */
async function terminate(session: Session): Promise<void> {
  const killer = openSession();
  await killer.query({ text: "select pg_terminate_backend($1, 5000)", values: [session.backendPid] });
  await expect.poll(() => session.connected).toBe(false);
}

test("a session connects with its first query and not before", async () => {
  const session = openSession();
  expect(session.connected).toBe(false);
  expect(session.backendPid).toBeUndefined();
  const pid = await backendOf(session);
  expect(session.connected).toBe(true);
  expect(session.backendPid).toBe(pid);
});

test("a session sets its name, its timeouts and the given settings, whatever the connection string says", async () => {
  const url = `${testDatabaseUrl()}?application_name=mine&query_timeout=1`;
  const session = openSession({
    source: resolveConnection({ connectionString: url, application_name: "mine too", query_timeout: 1 }),
    purpose: "flush",
    settings: { enable_seqscan: "off", lock_timeout: "7s" },
  });
  const names = [
    "application_name",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "enable_seqscan",
    "TimeZone",
  ];
  const { rows } = await session.query<{ settings: string[] }>({
    text: "select array(select current_setting(name) from unnest($1::text[]) as name) as settings, pg_sleep(0.02)",
    values: [names],
  });
  expect(rows[0]?.settings).toEqual(["memflow:flush", "10s", "7s", "off", "UTC"]);
});

test("queries of one session are answered one after another, in order", async () => {
  const session = openSession();
  const answers: number[] = [];
  await Promise.all(
    [30, 0, 10].map(async (delayMs, index) => {
      await session.query({ text: "select pg_sleep($1)", values: [delayMs / 1000] });
      answers.push(index);
    }),
  );
  expect(answers).toEqual([0, 1, 2]);
});

test("an error of a statement is the caller's alone and keeps the connection", async () => {
  const session = openSession();
  const pid = await backendOf(session);
  const failing = session.query({ text: "select 1 / 0" });
  await expect(failing).rejects.toMatchObject({ code: "22012" });
  await expect(failing).rejects.toBeInstanceOf(pg.DatabaseError);
  expect(await backendOf(session)).toBe(pid);
});

test("a value that cannot be sent is the caller's alone and keeps the connection", async () => {
  const session = openSession();
  const pid = await backendOf(session);
  const circular: { self?: unknown } = {};
  circular.self = circular;
  await expect(session.query({ text: "select $1::json", values: [circular] })).rejects.toThrow(TypeError);
  expect(await backendOf(session)).toBe(pid);
});

test("after its backend was terminated while idle, the next query runs on a new connection", async () => {
  const session = openSession();
  const pid = await backendOf(session);
  await terminate(session);
  expect(await backendOf(session)).not.toBe(pid);
});

test("a query under way when its backend is terminated fails as transient, and the next one runs", async () => {
  const session = openSession();
  await backendOf(session);
  const killer = openSession();
  const sleeping = session.query({ text: "select pg_sleep(60)" });
  const [error] = await Promise.all([
    sleeping.catch((reason: unknown) => reason),
    killer.query({ text: "select pg_terminate_backend($1)", values: [session.backendPid] }),
  ]);
  expect(classifySqlError(error)).toBe("transient");
  expect(await backendOf(session)).toBeGreaterThan(0);
});

test("a half-open connection is found by the statement's timeout, and the next query runs on a new one", async () => {
  const { proxy, source } = await openProxy();
  const session = openSession({ source });
  const pid = await backendOf(session);
  proxy.freeze();
  const silent = session.query({ text: "select 1", timeoutMs: 100 });
  await expect(silent).rejects.toMatchObject({ name: "ConnectionError", code: "DATABASE_UNREACHABLE" });
  expect(classifySqlError(await silent.catch((error: unknown) => error))).toBe("transient");
  expect(session.connected).toBe(false);
  expect(await backendOf(session)).not.toBe(pid);
});

test("a server that accepts and never answers fails the query within the connect timeout", async () => {
  const { proxy, source } = await openProxy();
  proxy.freeze({ newToo: true });
  const session = openSession({ source, connectTimeoutMs: 500 });
  const silent = session.query({ text: "select 1" });
  await expect(silent).rejects.toMatchObject({ name: "ConnectionError", code: "DATABASE_UNREACHABLE" });
  proxy.thaw();
  expect(await backendOf(session)).toBeGreaterThan(0);
});

test("a statement whose answer is lost fails as transient, and stands", async () => {
  const { proxy, source } = await openProxy();
  const session = openSession({ source });
  const table = uniqueName();
  await session.query({ text: `create table ${table} (value integer)` });
  cleanups.push(async () => void (await openSession().query({ text: `drop table ${table}` })));
  proxy.loseAnswers();
  const lost = session.query({ text: `insert into ${table} values (1)`, timeoutMs: 200 });
  expect(classifySqlError(await lost.catch((error: unknown) => error))).toBe("transient");
  const watcher = openSession();
  const countRows = async (): Promise<number> =>
    (await watcher.query({ text: `select 1 from ${table}` })).rows.length;
  await expect.poll(countRows).toBe(1);
});

test("a connection cut under a query fails it as transient", async () => {
  const { proxy, source } = await openProxy();
  const session = openSession({ source });
  await backendOf(session);
  const watcher = openSession();
  const sleeping = session.query({ text: "select pg_sleep(60)" }).catch((error: unknown) => error);
  await expect
    .poll(async () => {
      const { rows } = await watcher.query({
        text: "select 1 from pg_stat_activity where pid = $1 and state = 'active'",
        values: [session.backendPid],
      });
      return rows.length;
    })
    .toBe(1);
  proxy.cut();
  expect(classifySqlError(await sleeping)).toBe("transient");
});

test("a server that is not there fails each query with a named error, and no query hangs", async () => {
  const { proxy, source } = await openProxy();
  const session = openSession({ source });
  await proxy.close();
  cleanups.pop();
  cleanups.pop();
  for (const attempt of [1, 2]) {
    const failing = session.query({ text: "select 1" });
    await expect(failing, `attempt ${attempt}`).rejects.toMatchObject({
      code: "DATABASE_UNREACHABLE",
      target: source.describe(),
    });
  }
});

test("a transaction commits what its work did and returns its result", async () => {
  const session = openSession();
  const table = uniqueName();
  await session.query({ text: `create table ${table} (value integer)` });
  cleanups.push(async () => void (await openSession().query({ text: `drop table ${table}` })));
  const result = await session.transaction(async (query) => {
    await query({ text: `insert into ${table} values ($1)`, values: [7] });
    return "done";
  });
  expect(result).toBe("done");
  const { rows } = await session.query({ text: `select value from ${table}` });
  expect(rows).toEqual([{ value: 7 }]);
});

test("a transaction whose work throws leaves nothing and gives the session back", async () => {
  const session = openSession();
  const table = uniqueName();
  const failing = session.transaction(async (query) => {
    await query({ text: `create table ${table} (value integer)` });
    throw new RangeError("no");
  });
  await expect(failing).rejects.toThrow(RangeError);
  const { rows } = await session.query<{ found: string | null }>({
    text: "select to_regclass($1)::text as found",
    values: [table],
  });
  expect(rows[0]?.found).toBeNull();
});

test("no other query of the session comes between the statements of a transaction", async () => {
  const session = openSession();
  const order: string[] = [];
  const entered = Promise.withResolvers<void>();
  const transaction = session.transaction(async (query) => {
    entered.resolve();
    await query({ text: "select pg_sleep(0.02)" });
    order.push("transaction");
  });
  await entered.promise;
  await session.query({ text: "select 1" });
  order.push("query");
  await transaction;
  expect(order).toEqual(["transaction", "query"]);
});

test("a transaction never goes on over another connection", async () => {
  const session = openSession();
  const table = uniqueName();
  const failing = session.transaction(async (query) => {
    await query({ text: "select 1" });
    await terminate(session);
    await query({ text: `create table ${table} (value integer)` });
  });
  await expect(failing).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
  const { rows } = await session.query<{ found: string | null }>({
    text: "select to_regclass($1)::text as found",
    values: [table],
  });
  expect(rows[0]?.found).toBeNull();
});

test("after a connection was lost behind a plain begin, the next statement is refused once", async () => {
  const session = openSession();
  await session.query({ text: "begin" });
  await terminate(session);
  await expect(session.query({ text: "select 1" })).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
  expect(await backendOf(session)).toBeGreaterThan(0);
});

test("a named statement is prepared once per connection, and never on a pooled source", async () => {
  const statement = { name: "answer", text: "select 42 as answer" };
  const countPrepared = async (source: ConnectionSource): Promise<number> => {
    const session = openSession({ source });
    await session.query(statement);
    await session.query(statement);
    const { rows } = await session.query({
      text: "select 1 from pg_prepared_statements where name = 'answer'",
    });
    return rows.length;
  };
  expect(await countPrepared(testSource())).toBe(1);
  expect(await countPrepared(withPooled(testSource(), true))).toBe(0);
});

test("a pooled source gets no session settings", async () => {
  const session = openSession({
    source: withPooled(testSource(), true),
    settings: { enable_seqscan: "off" },
  });
  const { rows } = await session.query({
    text: "select current_setting('enable_seqscan') as seqscan, current_setting('jit') as jit",
  });
  expect(rows[0]).toMatchObject({ seqscan: "on" });
});

test("a table changed under a prepared statement fails it once as transient", async () => {
  const session = openSession();
  const other = openSession();
  const table = uniqueName();
  await other.query({ text: `create table ${table} (first integer)` });
  cleanups.push(async () => void (await openSession().query({ text: `drop table ${table}` })));
  const statement = { name: "all_columns", text: `select * from ${table}` };
  await session.query(statement);
  await other.query({ text: `alter table ${table} add second integer` });
  const error = await session.query(statement).catch((reason: unknown) => reason);
  expect(classifySqlError(error)).toBe("transient");
  const { fields } = await session.query(statement);
  expect(fields.map((field) => field.name)).toEqual(["first", "second"]);
});

test("a session that is opened inside an asynchronous context keeps nothing of it", async () => {
  const context = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const plain = testSource();
  const source: ConnectionSource = {
    ...plain,
    createClient: (overrides) => {
      const client = plain.createClient(overrides);
      seen.push(context.getStore());
      for (const event of ["connect", "notice"] as const)
        client.on(event, () => seen.push(context.getStore()));
      return client;
    },
  };
  const session = openSession({ source });
  const after = await context.run("a run", async () => {
    await session.query({ text: "do $$ begin raise notice 'heard'; end $$" });
    return context.getStore();
  });
  expect(seen).toEqual([undefined, undefined, undefined]);
  expect(after).toBe("a run");
  expect(context.run("a run", () => outside(() => context.getStore()))).toBeUndefined();
});

test("close waits for what was asked before it and refuses what comes after", async () => {
  const session = openSession();
  const asked = session.query<{ answer: number }>({ text: "select 1 as answer, pg_sleep(0.02)" });
  const closing = session.close();
  await expect(session.query({ text: "select 2" })).rejects.toBeInstanceOf(SessionClosedError);
  await closing;
  expect((await asked).rows[0]?.answer).toBe(1);
  expect(session.connected).toBe(false);
  await session.close();
});

test("close ends although the other side is silent", async () => {
  const { proxy, source } = await openProxy();
  const session = openSession({ source });
  await backendOf(session);
  proxy.freeze();
  await session.close();
  expect(session.connected).toBe(false);
});

test("destroy fails what is under way and what follows", async () => {
  const session = openSession();
  await backendOf(session);
  const sleeping = session.query({ text: "select pg_sleep(60)" });
  const queued = session.query({ text: "select 1" });
  const outcomes = Promise.allSettled([sleeping, queued]);
  await Promise.resolve();
  session.destroy();
  for (const outcome of await outcomes) expect(outcome.status).toBe("rejected");
  await expect(session.query({ text: "select 1" })).rejects.toBeInstanceOf(SessionClosedError);
});

test("a session that is destroyed while it connects leaves no connection", async () => {
  const { proxy, source } = await openProxy();
  const session = openSession({
    source: {
      ...source,
      createClient: (overrides) => {
        queueMicrotask(() => session.destroy());
        return source.createClient(overrides);
      },
    },
  });
  await expect(session.query({ text: "select 1" })).rejects.toBeInstanceOf(SessionClosedError);
  expect(session.connected).toBe(false);
  await expect.poll(() => proxy.connectionCount).toBe(0);
});

test("an error on an idle connection does not end the process", async () => {
  const plain = testSource();
  const ended = Promise.withResolvers<void>();
  let socket: Duplex | undefined;
  const session = openSession({
    source: {
      ...plain,
      createClient: (overrides) => {
        const client = plain.createClient(overrides).on("end", () => ended.resolve());
        socket = client.connection.stream;
        return client;
      },
    },
  });
  await backendOf(session);
  socket?.destroy(new Error("reset by the test"));
  await ended.promise;
  expect(session.connected).toBe(false);
  expect(await backendOf(session)).toBeGreaterThan(0);
});
