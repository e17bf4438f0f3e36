/**
 * The limits that docs/limits.md names, met from outside: each is refused by its documented class and code, and a run that met one
 * goes on.
 */
import { Client, MemFlow, Worker } from "@memflow/sdk";
import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";

const CONNECTION = {
  class: pg.Client,
  options: { connectionString: process.env["MEMFLOW_TEST_DATABASE_URL"] },
};
const NAMESPACE = `limits_${randomBytes(8).toString("hex")}`;
const PAYLOAD_LIMIT_BYTES = 2 * 1024 * 1024;
const NAME_BYTES_MAX = 512;
const DEPTH_MAX = 100;

const client = new Client({ connection: CONNECTION, namespace: NAMESPACE });

/** Makes the value inside the workflow: some can't be sent to it. */
const VALUES: Readonly<Record<string, () => unknown>> = {
  large: () => "x".repeat(PAYLOAD_LIMIT_BYTES),
  deep: () => nested(DEPTH_MAX + 1),
  forbidden: () => JSON.parse('{"a":{"__proto__":1}}') as unknown,
  half: () => ({ a: "\ud800" }),
};

/** Tries one operation on the entity that is over a limit, then one that is not. */
async function pushEntity(operation: string, path: string, value: string): Promise<unknown> {
  const entity = await MemFlow.workflow.entity();
  await entity.set({ list: [], text: "a" });
  let refusal: unknown;
  try {
    if (operation === "set") await entity.set(VALUES[value]?.());
    if (operation === "append") await entity.append(path, 1);
    if (operation === "increment") await entity.increment(path);
  } catch (error) {
    const { name, code } = error as { name: string; code: string };
    refusal = { name, code };
  }
  return { refusal, after: await entity.merge({ text: "b" }) };
}

async function returnLarge(): Promise<string> {
  return Promise.resolve("x".repeat(PAYLOAD_LIMIT_BYTES));
}

beforeAll(async () => {
  await Worker.create({
    connection: CONNECTION,
    namespace: NAMESPACE,
    taskQueue: "limits",
    workflow: { pushEntity, returnLarge },
  });
});

afterAll(async () => {
  await MemFlow.shutdown();
  const postgres = new pg.Client(CONNECTION.options);
  await postgres.connect();
  await postgres.query(`drop schema if exists ${postgres.escapeIdentifier(NAMESPACE)} cascade`);
  await postgres.end();
});

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
}

function start(options: {
  readonly args?: readonly unknown[];
  readonly workflowId?: string;
  readonly workflowName?: string;
}) {
  return client.workflow.start({ taskQueue: "limits", workflowName: "pushEntity", ...options });
}

test.each<[string, () => unknown, string]>([
  ["a text of 2 MiB", () => "x".repeat(PAYLOAD_LIMIT_BYTES), "PAYLOAD_TOO_LARGE"],
  ["101 levels", () => nested(DEPTH_MAX + 1), "PAYLOAD_TOO_DEEP"],
  ["a BigInt", () => 1n, "PAYLOAD_NOT_SERIALIZABLE"],
  ["NaN", () => Number.NaN, "PAYLOAD_NOT_SERIALIZABLE"],
  ["a Map", () => new Map(), "PAYLOAD_NOT_SERIALIZABLE"],
  ["a function", () => () => 1, "PAYLOAD_NOT_SERIALIZABLE"],
  ["U+0000", () => "a\0b", "PAYLOAD_NUL_CHARACTER"],
])("an argument with %s is refused before anything is recorded", async (_, makeValue, code) => {
  const workflowId = MemFlow.guid();
  await expect(start({ args: [makeValue()], workflowId })).rejects.toMatchObject({
    name: "PayloadError",
    code,
  });
  await expect(client.workflow.getHandle(workflowId)).rejects.toMatchObject({
    name: "WorkflowNotFoundError",
  });
});

test("names have up to 512 bytes, not characters", async () => {
  const longest = "ü".repeat(NAME_BYTES_MAX / 2);
  const handle = await start({ workflowId: longest, args: ["none", "", ""] });
  await handle.result();
  expect(handle.workflowId).toBe(longest);
  await expect(start({ workflowId: `${longest}x` })).rejects.toMatchObject({
    code: "BAD_OPTION",
    field: "workflowId",
  });
  await expect(start({ workflowName: "" })).rejects.toMatchObject({
    code: "BAD_OPTION",
    field: "workflowName",
  });
});

test.each(["pg_mine", "", "s".repeat(64)])('the schema "%s" is refused', async (namespace) => {
  const started = client.workflow.start({ taskQueue: "limits", workflowName: "pushEntity", namespace });
  await expect(started).rejects.toMatchObject({ name: "SchemaError", code: "BAD_SCHEMA_NAME" });
});

test.each([
  ["set", "", "large", "PayloadError", "PAYLOAD_TOO_LARGE"],
  ["set", "", "deep", "PayloadError", "PAYLOAD_TOO_DEEP"],
  ["set", "", "forbidden", "EntityError", "ENTITY_FORBIDDEN_KEY"],
  ["set", "", "half", "EntityError", "ENTITY_BAD_VALUE"],
  ["append", "x".repeat(4097), "", "EntityError", "ENTITY_BAD_PATH"],
  ["append", "list.constructor", "", "EntityError", "ENTITY_FORBIDDEN_KEY"],
  ["increment", "text", "", "EntityError", "ENTITY_TYPE_MISMATCH"],
])("entity %s (%.20s %s) is a %s %s, and the run goes on with its memory unchanged", async (...row) => {
  const [operation, path, value, name, code] = row;
  const handle = await start({ args: [operation, path, value] });
  expect(await handle.result()).toEqual({ refusal: { name, code }, after: { list: [], text: "b" } });
});

test("a result of 2 MiB fails its run once", async () => {
  const handle = await start({ workflowName: "returnLarge", args: [] });
  await expect(handle.result()).rejects.toMatchObject({ name: "PayloadError", code: "PAYLOAD_TOO_LARGE" });
});
