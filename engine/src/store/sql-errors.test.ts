/** Errors of the database: their kinds, and the words for those who can help. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, expect, test } from "vitest";
import { ConnectionError, MemFlowError, SchemaError } from "../core/errors.ts";
import { startTcpProxy } from "../testing/tcp-proxy.ts";
import { testDatabaseUrlWith, testSource, uniqueName } from "../testing/test-database.ts";
import { resolveConnection } from "./connection-source.ts";
import { Session } from "./session.ts";
import { classifySqlError, connectionLost, runsBehind, toStoreError } from "./sql-errors.ts";

const admin = new Session({ source: testSource(), purpose: "test" });
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});
afterAll(() => admin.close());

async function failureOf(text: string, values: readonly unknown[] = []): Promise<unknown> {
  return admin.query({ text, values }).then(
    () => expect.unreachable("the statement should fail"),
    (error: unknown) => error,
  );
}

/** What a session throws when it cannot get in. */
async function entryFailure(connection: unknown): Promise<unknown> {
  const session = new Session({ source: resolveConnection(connection), purpose: "test" });
  try {
    await session.query({ text: "select 1" });
    return expect.unreachable("the connection should be refused");
  } catch (error) {
    return error;
  } finally {
    await session.close();
  }
}

async function makeRole(attributes: string): Promise<string> {
  const role = uniqueName();
  await admin.query({ text: `create role ${role} ${attributes}` });
  cleanups.push(() => admin.query({ text: `drop role ${role}` }));
  return role;
}

test.each([
  ["select 1 / 0", "data"],
  ["select 'a'::integer", "data"],
  ["select E'\\\\x00'::bytea, convert_from('\\xff', 'UTF8')", "data"],
  ["select '{'::json", "data"],
  ["select repeat('a', 2000000000)", "data"],
  ["select * from no_such_table", "schema"],
  ["select no_such_function()", "schema"],
  ["select * from no_such_schema.t", "schema"],
  ["create schema information_schema", "other"],
  ["selec 1", "other"],
  ["create temporary table u (a integer unique); insert into u values (1), (1)", "unique"],
  ["create temporary table c (a integer check (a > 0)); insert into c values (0)", "data"],
  ["create temporary table n (a integer not null); insert into n values (null)", "data"],
  ["begin; set local statement_timeout = 1; select pg_sleep(10)", "transient"],
  ["begin read only; create table t ()", "transient"],
] as const)("%s is %s", async (text, kind) => {
  const error = await failureOf(text);
  await admin.query({ text: "rollback" });
  expect(classifySqlError(error)).toBe(kind);
});

test("a statement that may not be run is a matter of permission, and the remedy is to grant it", async () => {
  const role = await makeRole("");
  const error = await failureOf(`begin; set local role ${role}; create schema mine`);
  await admin.query({ text: "rollback" });
  expect(classifySqlError(error)).toBe("permission");
  const told = toStoreError(error, testSource());
  expect(told).toMatchObject({ name: "ConnectionError", code: "PERMISSION_DENIED", cause: error });
});

test.each([
  "08006",
  "40001",
  "40P01",
  "55P03",
  "57014",
  "57P01",
  "57P03",
  "53300",
  "53100",
  "25P03",
  "26000",
  "25006",
])("SQLSTATE %s is transient", (code) => {
  expect(classifySqlError(Object.assign(new Error("said by Postgres"), { code }))).toBe("transient");
});

test.each(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH"])(
  "%s is transient and says that the database cannot be reached",
  (code) => {
    const error = Object.assign(new Error("said by the socket"), { code });
    expect(classifySqlError(error)).toBe("transient");
    expect(toStoreError(error, testSource())).toMatchObject({ code: "DATABASE_UNREACHABLE", cause: error });
  },
);

test("what is no error of a database is other, and comes back as it was", () => {
  for (const error of [
    new Error("plain"),
    undefined,
    "text",
    { code: 5 },
    Object.assign(new Error("e"), { code: "ENOSPC" }),
  ]) {
    expect(classifySqlError(error)).toBe("other");
  }
  const plain = new TypeError("plain");
  expect(toStoreError(plain, testSource())).toBe(plain);
  expect(toStoreError("text", testSource())).toMatchObject({ cause: "text" });
  const ours = new MemFlowError("ours", { code: "X" });
  expect(toStoreError(ours, testSource())).toBe(ours);
});

test("our own errors are judged by their code", () => {
  const judge = (code: ConstructorParameters<typeof ConnectionError>[0]) =>
    classifySqlError(new ConnectionError(code, { message: "said by us" }));
  expect(judge("DATABASE_UNREACHABLE")).toBe("transient");
  expect(judge("DATABASE_READ_ONLY")).toBe("transient");
  expect(judge("AUTHENTICATION_FAILED")).toBe("permission");
  expect(judge("PERMISSION_DENIED")).toBe("permission");
  expect(judge("BAD_CONNECTION")).toBe("other");
  expect(classifySqlError(new SchemaError("SCHEMA_MISSING", { message: "said by us" }))).toBe("schema");
  expect(classifySqlError(connectionLost(testSource(), "was lost"))).toBe("transient");
});

test("runs that end behind their messages are named by the error that refuses their flush", async () => {
  const raise = (options: string): Promise<unknown> =>
    failureOf(`do $$ begin raise exception using errcode = 'MF001'${options}; end $$`);
  expect(runsBehind(await raise(", detail = 'a,b'"))).toEqual(["a", "b"]);
  expect(runsBehind(await raise(""))).toEqual([]);
  expect(runsBehind(await failureOf("select 1 / 0"))).toBeUndefined();
  expect(classifySqlError(await raise(""))).toBe("other");
});

test("a missing table is told as a missing schema, with what Postgres missed", async () => {
  const told = toStoreError(await failureOf("select * from no_such_table"), testSource());
  expect(told).toBeInstanceOf(SchemaError);
  expect(told).toMatchObject({ code: "SCHEMA_MISSING" });
  expect(told.message).toContain("no_such_table");
});

test("a wrong password is refused by name, without the password", async () => {
  const role = await makeRole("login password 'right'");
  const error = await entryFailure(testDatabaseUrlWith({ username: role, password: "sesame" }));
  expect(error).toMatchObject({ name: "ConnectionError", code: "AUTHENTICATION_FAILED" });
  expect((error as Error).message).not.toContain("sesame");
  expect(classifySqlError(error)).toBe("permission");
});

test("a role that may not log in is refused by name", async () => {
  const role = await makeRole("nologin password 'right'");
  const error = await entryFailure(testDatabaseUrlWith({ username: role, password: "right" }));
  expect(error).toMatchObject({ name: "ConnectionError", code: "AUTHENTICATION_FAILED" });
});

test("a database that does not exist is a bad connection that names it", async () => {
  const error = await entryFailure(testDatabaseUrlWith({ pathname: "/no_such_database" }));
  expect(error).toMatchObject({ name: "ConnectionError", code: "BAD_CONNECTION" });
  expect((error as Error).message).toContain("no_such_database");
});

test("a host that does not exist is unreachable by name", async () => {
  const error = await entryFailure("postgresql://u:p@no-such-host.invalid:5432/d");
  expect(error).toMatchObject({ code: "DATABASE_UNREACHABLE", target: "no-such-host.invalid:5432/d" });
});

test("a port where nothing listens, or no Postgres, is unreachable by name", async () => {
  const proxy = await startTcpProxy({ host: "127.0.0.1", port: 1 });
  const url = `postgresql://u:p@127.0.0.1:${proxy.port}/d`;
  expect(await entryFailure(url)).toMatchObject({ code: "DATABASE_UNREACHABLE" });
  await proxy.close();
  const refused = await entryFailure(url);
  expect(refused).toMatchObject({ code: "DATABASE_UNREACHABLE" });
  expect((refused as Error).message).toContain("ECONNREFUSED");
});

test("a socket that is not there is unreachable by name", async () => {
  const error = await entryFailure({ host: "/no/such/folder", user: "u", database: "d" });
  expect(error).toMatchObject({ code: "DATABASE_UNREACHABLE" });
});

test("TLS that the server does not speak is a bad connection with the remedy", async () => {
  // What Postgres answers to a request for TLS that it does not speak.
  const server = createServer((socket) => socket.once("data", () => socket.end("N")));
  cleanups.push(async () => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const error = await entryFailure({
    host: "127.0.0.1",
    port,
    user: "u",
    ssl: { rejectUnauthorized: false },
  });
  expect(error).toMatchObject({ name: "ConnectionError", code: "BAD_CONNECTION" });
  expect((error as Error).message).toContain("ssl");
});

test("a role whose database takes no more connections is told so, as transient", async () => {
  const role = await makeRole("login password 'right' connection limit 0");
  const error = await entryFailure(testDatabaseUrlWith({ username: role, password: "right" }));
  expect(classifySqlError(error)).toBe("transient");
  expect(error).toMatchObject({ code: "DATABASE_UNREACHABLE" });
});
