/** Connection strings and single values, as Secrets have them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { connectionUri, readCredentials } from "./credentials.ts";

const PLACE = { secretName: "db", key: "uri" } as const;
const PEM = "-----BEGIN CERTIFICATE-----";
const PATH = "/etc/memflow/store/ca.crt";

test("what was written reads back the same, whatever the password", () => {
  const text = fc.string({ minLength: 1, unit: "grapheme" }).filter((value) => value.isWellFormed());
  const credentials = fc.record({
    host: fc.constantFrom("db", "db.shop.svc", "10.0.0.1", "::1"),
    port: fc.integer({ min: 1, max: 65_535 }),
    database: fc.stringMatching(/^[a-z_ ]{1,20}$/u).filter((name) => name.trim() === name),
    user: text,
    password: text,
    parameters: fc.constantFrom({}, { application_name: "a b+c" }),
  });
  fc.assert(
    fc.property(credentials, (value) => {
      const uri = connectionUri(value, { mode: "verify-full", authority: undefined }, PATH);
      expect(readCredentials({ uri }, PLACE)).toEqual({ kind: "Read", credentials: value });
    }),
  );
});

test("single values are read where there is no connection string", () => {
  const values = { host: "db", dbname: "app", username: "me", password: "p", port: "6432" };
  expect(readCredentials(values, PLACE)).toMatchObject({
    kind: "Read",
    credentials: { host: "db", database: "app", user: "me", port: 6432 },
  });
  expect(readCredentials({ ...values, port: "0" }, PLACE)).toMatchObject({ kind: "Invalid" });
  const { password: _password, ...rest } = values;
  expect(readCredentials(rest, PLACE)).toMatchObject({
    kind: "Missing",
    message: 'Secret "db" has no key "uri", and for single values it lacks password',
  });
});

test.each([
  "mysql://u:secret@h/d",
  "postgres://h/d",
  "postgres://u:se%zzcret@h/d",
  "postgres://u:secret@h:0/d",
])("%s is refused without showing the password", (uri) => {
  const reading = readCredentials({ uri }, PLACE);
  expect(reading).toMatchObject({ kind: "Invalid", message: expect.stringContaining('key "uri"') as string });
  expect(JSON.stringify(reading)).not.toContain("secret");
});

test.each([
  ["disable", undefined, "sslmode=disable"],
  ["require", undefined, "sslmode=require&uselibpqcompat=true"],
  ["verify-ca", undefined, "sslmode=verify-full"],
  ["verify-ca", PEM, "sslmode=verify-ca&sslrootcert=%2Fetc%2Fmemflow%2Fstore%2Fca.crt&uselibpqcompat=true"],
  ["verify-full", PEM, "sslmode=verify-full&sslrootcert=%2Fetc%2Fmemflow%2Fstore%2Fca.crt"],
] as const)("mode %s with authority %s is written as %s", (mode, authority, expected) => {
  const credentials = { host: "db", port: 5432, database: "app", user: "u", password: "p", parameters: {} };
  expect(connectionUri(credentials, { mode, authority }, PATH)).toBe(
    `postgresql://u:p@db:5432/app?${expected}`,
  );
});

test("what the connection string says of TLS is left to the Store", () => {
  const uri = "postgres://u:p@h/d?sslmode=disable&options=-c%20geqo%3Doff";
  expect(readCredentials({ uri }, PLACE)).toMatchObject({
    credentials: { parameters: { options: "-c geqo=off" } },
  });
});
