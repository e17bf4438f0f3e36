/** Which databases can hold a Store. */
import { expect, test } from "vitest";
import { judge } from "./probe-database.ts";

const FACTS = {
  version: 180_000,
  readOnly: false,
  inRecovery: false,
  pooled: "none",
  listenWorks: true,
} as const;
const SOURCE = { describe: () => "db:5432/app" };

test.each([
  ["as it should be", {}, undefined],
  ["before 15", { version: 140_011 }, "UnsupportedServer"],
  ["a standby", { inRecovery: true, listenWorks: false }, "ReadOnly"],
  ["read-only for the role", { readOnly: true }, "ReadOnly"],
  ["behind a pooler in session mode", { pooled: "session" }, undefined],
  [
    "behind a pooler in transaction mode",
    { pooled: "transaction", listenWorks: false },
    "PoolerInTransactionMode",
  ],
] as const)("a server %s", (_title, change, kind) => {
  expect(judge({ ...FACTS, ...change }, SOURCE)?.kind).toBe(kind);
});

test("the version of a server that is too old is said as Postgres says it", () => {
  expect(judge({ ...FACTS, version: 140_011 }, SOURCE)?.message).toContain("Postgres 14.11");
});
