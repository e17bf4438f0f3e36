/** A worker's environment is read completely or refused with the names of what is wrong. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { SettingsError, readSettings } from "./settings.ts";

const REQUIRED = {
  MEMFLOW_DATABASE_URL: "postgres://worker:secret@db:5432/app",
  MEMFLOW_TASK_QUEUE: "research",
  MEMFLOW_MODULE: "/app",
};

function refusal(environment: Record<string, string | undefined>): SettingsError {
  try {
    readSettings({ ...REQUIRED, ...environment });
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
  throw new Error("the settings were accepted");
}

test("three variables are enough", () => {
  expect(readSettings(REQUIRED)).toEqual({
    databaseUrl: REQUIRED.MEMFLOW_DATABASE_URL,
    directDatabaseUrl: undefined,
    connectionMax: 8,
    taskQueue: "research",
    module: "/app",
    namespace: "memflow",
    host: undefined,
    port: 8_080,
    activityMax: 100,
    runMax: 1_000,
    graceMs: 30_000,
    buildId: undefined,
  });
});

test("every variable reaches its setting", () => {
  const settings = readSettings({
    ...REQUIRED,
    MEMFLOW_DIRECT_DATABASE_URL: "postgres://worker:secret@db:6432/app",
    MEMFLOW_MAX_CONNECTIONS: "4",
    MEMFLOW_NAMESPACE: "tenant",
    MEMFLOW_HOST: "127.0.0.1",
    MEMFLOW_PORT: "0",
    MEMFLOW_MAX_ACTIVITIES: "7",
    MEMFLOW_MAX_RUNS: "8",
    MEMFLOW_GRACE_MS: "0",
    MEMFLOW_BUILD_ID: "v2",
  });
  expect(settings).toMatchObject({
    directDatabaseUrl: "postgres://worker:secret@db:6432/app",
    connectionMax: 4,
    namespace: "tenant",
    host: "127.0.0.1",
    port: 0,
    activityMax: 7,
    runMax: 8,
    graceMs: 0,
    buildId: "v2",
  });
});

test("all missing variables are named at once", () => {
  const missing = { MEMFLOW_DATABASE_URL: undefined, MEMFLOW_TASK_QUEUE: "", MEMFLOW_MODULE: undefined };
  expect(refusal(missing)).toMatchObject({
    code: "BAD_SETTINGS",
    variables: ["MEMFLOW_DATABASE_URL", "MEMFLOW_TASK_QUEUE", "MEMFLOW_MODULE"],
  });
});

test.each([
  ["MEMFLOW_PORT", "65536"],
  ["MEMFLOW_PORT", "http"],
  ["MEMFLOW_MAX_ACTIVITIES", "0"],
  ["MEMFLOW_MAX_CONNECTIONS", "3"],
  ["MEMFLOW_MAX_RUNS", "0"],
  ["MEMFLOW_MAX_ACTIVITIES", "1.5"],
  ["MEMFLOW_GRACE_MS", "-1"],
  ["MEMFLOW_TASK_QUEUE", "q".repeat(129)],
])("%s=%s is refused by name", (variable, value) => {
  const error = refusal({ [variable]: value });
  expect(error.variables).toEqual([variable]);
  expect(error.message).toMatch(/must (be|have)/u);
});

test("a bad connection string is refused without showing it", () => {
  const error = refusal({ MEMFLOW_DATABASE_URL: "mysql://worker:secret@db/app" });
  expect(error.variables).toEqual(["MEMFLOW_DATABASE_URL"]);
  expect(error.message).not.toContain("secret");
});

test("a connection string may be in a file; one that can't be read is named", () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "memflow-settings-")), "uri");
  onTestFinished(() => rmSync(path.dirname(file), { recursive: true }));
  writeFileSync(file, "postgres://worker:secret@db/app\n");
  const { databaseUrl } = readSettings({
    ...REQUIRED,
    MEMFLOW_DATABASE_URL: undefined,
    MEMFLOW_DATABASE_URL_FILE: file,
  });
  expect(databaseUrl).toBe("postgres://worker:secret@db/app");
  const error = refusal({ MEMFLOW_DATABASE_URL: undefined, MEMFLOW_DATABASE_URL_FILE: `${file}.gone` });
  expect(error.variables).toEqual(["MEMFLOW_DATABASE_URL_FILE"]);
  expect(error.message).toContain(`"${file}.gone"`);
});
