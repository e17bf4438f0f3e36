import { createSecureContext } from "node:tls";
import type pg from "pg";
import { expect, test } from "vitest";
import { OptionError } from "../../core/errors.ts";
import { toThreadConnection } from "./thread-connection.ts";

test("plain options cross unchanged", () => {
  const config = {
    host: "db",
    port: 5433,
    user: "u",
    password: "p",
    database: "d",
    ssl: { ca: "pem", key: "secret" },
  };
  expect(toThreadConnection(config)).toEqual({ config, askPassword: undefined });
  expect(toThreadConnection({ connectionString: "postgres://db/d", ssl: true }).config).toEqual({
    connectionString: "postgres://db/d",
    ssl: true,
  });
});

test("a password and a private key cross although pg hides them from enumeration", () => {
  const ssl = Object.defineProperty({ ca: "pem" }, "key", { value: "private", enumerable: false });
  const config = Object.defineProperty({ host: "db", ssl }, "password", {
    value: "hidden",
    enumerable: false,
  });
  expect(toThreadConnection(config).config).toEqual({
    host: "db",
    password: "hidden",
    ssl: { ca: "pem", key: "private" },
  });
});

test("a password function stays behind and is asked", async () => {
  let asked = 0;
  const { config, askPassword } = toThreadConnection({ host: "db", password: () => `token ${(asked += 1)}` });
  expect(config).toEqual({ host: "db" });
  expect([await askPassword?.(), await askPassword?.()]).toEqual(["token 1", "token 2"]);
});

test("a password function that throws rejects", async () => {
  const { askPassword } = toThreadConnection({
    password: () => {
      throw new Error("no token");
    },
  });
  await expect(askPassword?.()).rejects.toThrow("no token");
});

test("options that say nothing about the connection stay behind", () => {
  const config = { host: "db", types: { getTypeParser: () => String }, Promise, verify: () => undefined };
  expect(toThreadConnection(config as pg.ClientConfig).config).toEqual({ host: "db" });
});

test("an option that cannot cross and matters is refused by name", () => {
  const ssl = { checkServerIdentity: () => undefined };
  const refused = [
    ["connection.ssl", { ssl }],
    ["connection.ssl", { ssl: { secureContext: createSecureContext() } }],
    ["connection.stream", { stream: () => undefined }],
  ] as const;
  for (const [field, config] of refused) {
    const cross = (): unknown => toThreadConnection(config);
    expect(cross).toThrow(OptionError);
    expect(cross).toThrow(expect.objectContaining({ code: "BAD_OPTION", field }));
  }
});
