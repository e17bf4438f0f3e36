/** Connections as users write them: every shape is understood or refused by name, and no password is shown. */
import fc from "fast-check";
import pg from "pg";
import { afterEach, expect, test, vi } from "vitest";
import { ConnectionError } from "../core/errors.ts";
import { listenSource, resolveConnection, withPooled } from "./connection-source.ts";

const URL = "postgresql://usr:pwd@db.example:6543/shop";
const TARGET = "db.example:6543/shop";

afterEach(() => vi.unstubAllEnvs());

function clientOf(input: unknown): pg.Client {
  return resolveConnection(input).createClient({ applicationName: "memflow:test", connectTimeoutMs: 1 });
}

test.each([
  ["a connection string", URL],
  ["{ connectionString }", { connectionString: URL }],
  ["{ class: pg.Client, options }", { class: pg.Client, options: { connectionString: URL } }],
  ["{ class: pg.Pool, options }", { class: pg.Pool, options: { connectionString: URL } }],
  ["{ class: a Pool instance }", { class: new pg.Pool({ connectionString: URL }) }],
  ["a Pool instance", new pg.Pool({ connectionString: URL })],
  ["{ options } with a provider", { provider: "postgres", options: { connectionString: URL } }],
  ["separate options", { host: "db.example", port: 6543, database: "shop", user: "usr", password: "pwd" }],
  [
    "{ store, stream, sub }",
    { store: { class: pg.Client, options: { connectionString: URL } }, stream: {}, sub: {} },
  ],
  ["{ store: a Pool }", { store: new pg.Pool({ connectionString: URL }), stream: {}, sub: {} }],
  ["{ store: a string }", { store: URL, stream: URL, sub: URL }],
])("%s names its database and keeps its password", (_shape, input) => {
  expect(resolveConnection(input).describe()).toBe(TARGET);
  expect(clientOf(input)).toMatchObject({ user: "usr", password: "pwd", host: "db.example", port: 6543 });
});

test("a Pool's hidden password and the options beside it are used", () => {
  const pool = new pg.Pool({ host: "a", user: "usr", password: "hidden", database: "shop" });
  const client = clientOf({ class: pool, options: { host: "b" } });
  expect(client).toMatchObject({ host: "b", password: "hidden" });
});

test("a subclass of pg.Client is instantiated, any other class only tells how to read the options", () => {
  class Traced extends pg.Client {}
  function Foreign(): void {}
  expect(clientOf({ class: Traced, options: { connectionString: URL } })).toBeInstanceOf(Traced);
  expect(clientOf({ class: Foreign, options: { connectionString: URL } }).constructor).toBe(pg.Client);
});

test("environment variables fill in what is missing, as they do for pg", () => {
  vi.stubEnv("PGHOST", "from-env");
  vi.stubEnv("PGPORT", "7654");
  vi.stubEnv("PGDATABASE", "env-db");
  expect(resolveConnection({ class: pg.Client, options: {} }).describe()).toBe("from-env:7654/env-db");
});

test("IPv6 hosts and sockets are described so that the port can be told apart", () => {
  expect(resolveConnection({ host: "::1", port: 5432, database: "d" }).describe()).toBe("[::1]:5432/d");
  expect(resolveConnection("/var/run/postgresql shop").describe()).toBe("/var/run/postgresql:5432/shop");
});

test.each([
  ["nothing", undefined, "connection is undefined"],
  ["null", null, "connection is null"],
  ["a number", 5, "connection is 5"],
  ["an empty object", {}, "connection is an object"],
  ["an empty string", "", 'connection.connectionString is ""'],
  ["words", "my database", 'connection "my database"'],
  ["another database's scheme", "mysql://usr:sesame@h/d", 'connection "mysql://usr:***@h/d"'],
  [
    "a URL that cannot be parsed",
    "postgres://usr:sesame@h:port/d",
    'connection "postgres://usr:***@h:port/d"',
  ],
  [
    "a bare slash in a password",
    "postgres://usr:ses/ame@h/d",
    'connection "postgres://usr:***@h/d" has an "@"',
  ],
  [
    "a bare @ and ? in a password",
    "postgres://usr:se@sa?me@h/d",
    'connection "postgres://usr:***@h/d" has an "@"',
  ],
  ["a port out of range", { host: "h", port: 99_999, user: "u" }, "connection.port 99999"],
  ["a port that is no number", { host: "h", port: "x", user: "u" }, 'connection.port "x"'],
  ["a class that is none", { class: "Client", options: {} }, 'connection.class is "Client"'],
  ["a class without options", { class: pg.Client }, "connection.options is undefined"],
  ["an empty connectionString", { connectionString: " " }, 'connection.connectionString is " "'],
  ["a bad store", { store: 1, stream: {}, sub: {} }, "connection.store is 1"],
  ["a bad direct", { connectionString: URL, direct: 1 }, "connection.direct is 1"],
  [
    "a readonly that is no flag",
    { connectionString: URL, readonly: "yes" },
    "connection.readonly must be true",
  ],
])("%s is refused by name, with the value and without the password", (_name, input, start) => {
  let error: unknown;
  try {
    resolveConnection(input);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(ConnectionError);
  expect(error).toMatchObject({ code: "BAD_CONNECTION" });
  expect((error as Error).message).toContain(start);
  expect((error as Error).message).not.toContain("sesame");
  expect((error as Error).cause).toBeUndefined();
});

test("the caller's name for the field is in the message", () => {
  expect(() => resolveConnection(1, "store.connection")).toThrow("store.connection is 1");
});

test("no password is ever shown, whatever it looks like and however broken the string is", () => {
  fc.assert(
    fc.property(
      // Long enough that the word cannot be in the message by chance.
      fc.stringMatching(/^[!-~]{8,200}$/),
      fc.constantFrom(
        "postgres://u:P@h:bad/d",
        "postgres://u:P@[h/d",
        "mysql://u:P@h/d",
        "postgres://u:P@h:0/d",
      ),
      (password, template) => {
        try {
          const source = resolveConnection(template.replace("P", () => password));
          expect(source.describe()).not.toContain(password);
        } catch (error) {
          expect(error).toBeInstanceOf(ConnectionError);
          expect((error as Error).message).not.toContain(password);
          expect((error as Error).cause).toBeUndefined();
        }
      },
    ),
  );
});

test("the key is equal for equal targets, and knows neither password nor way of writing", () => {
  const key = resolveConnection(URL).key;
  expect(resolveConnection({ class: pg.Pool, options: { connectionString: URL } }).key).toBe(key);
  expect(resolveConnection(URL.replace("pwd", "other")).key).toBe(key);
  expect(key).not.toContain("pwd");
});

test.each([
  ["host", URL.replace("db.example", "other")],
  ["port", URL.replace("6543", "6544")],
  ["database", URL.replace("shop", "other")],
  ["user", URL.replace("usr", "other")],
  ["options", `${URL}?options=-c%20search_path%3Dx`],
  ["readonly", { connectionString: URL, readonly: true }],
  ["polling", { connectionString: URL, polling: true }],
  ["direct", { connectionString: URL, direct: URL }],
])("another %s makes another key", (_what, input) => {
  expect(resolveConnection(input).key).not.toBe(resolveConnection(URL).key);
});

test("the engine's own settings win over the user's, in the options and in the string", () => {
  const client = clientOf({
    connectionString: `${URL}?application_name=mine&keepAlive=false&statement_timeout=9&sslmode=disable`,
    application_name: "mine",
    query_timeout: 1,
    binary: true,
  }) as pg.Client & { readonly connectionParameters: Record<string, unknown> };
  expect(client.connectionParameters).toMatchObject({
    application_name: "memflow:test",
    query_timeout: false,
    binary: false,
    statement_timeout: "9",
    ssl: false,
  });
});

test("readonly, polling, pooled and direct are carried, also around { store }", () => {
  const plain = resolveConnection(URL);
  expect(plain).toMatchObject({ readonly: false, polling: false, pooled: false });
  expect(plain.direct).toBeUndefined();
  const direct = URL.replace("6543", "5432");
  const source = resolveConnection({
    store: { connectionString: URL },
    readonly: true,
    polling: true,
    direct,
  });
  expect(source).toMatchObject({ readonly: true, polling: true, pooled: true });
  expect(source.direct?.describe()).toBe("db.example:5432/shop");
});

test("LISTEN goes to the direct connection, to the only one, or nowhere", () => {
  const plain = resolveConnection(URL);
  expect(listenSource(plain)).toBe(plain);
  expect(listenSource(withPooled(plain, true))).toBeUndefined();
  expect(listenSource(resolveConnection({ connectionString: URL, polling: true }))).toBeUndefined();
  const both = resolveConnection({ connectionString: URL, polling: true, direct: URL });
  expect(listenSource(both)).toBe(both.direct);
});
