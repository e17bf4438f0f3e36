/** Objects as a server sends them, with fields that we don't know. */
import { loadBaseObjects } from "@memflow/crds/testing";
import { expect, test } from "vitest";
import type { CustomObject } from "./kinds.ts";
import { readSchedule, readStore, readTaskQueue, readWorkflow } from "./read-resource.ts";

const READERS = {
  Store: readStore,
  TaskQueue: readTaskQueue,
  Workflow: readWorkflow,
  Schedule: readSchedule,
};

test("an object is read with its defaults, whatever else its metadata has", () => {
  const base = {
    apiVersion: "memflow.io/v1alpha1",
    kind: "Store",
    spec: { connection: { secretRef: { name: "db" } } },
  };
  const metadata = { name: "main", namespace: "shop", uid: "u", generateName: "ma", managedFields: [] };
  const read = readStore({ ...base, metadata });
  expect(read).toMatchObject({
    kind: "Read",
    resource: { spec: { schema: "memflow", pool: { maxTotal: 80 } } },
  });
});

test.each(Object.entries(READERS))("a valid %s is read", (kind, read) => {
  const objects = loadBaseObjects() as CustomObject[];
  const object = objects.find((candidate) => candidate.kind === kind);
  expect(read(object ?? {})).toMatchObject({ kind: "Read", resource: { kind } });
});

test.each(Object.entries(READERS))("a %s is read once, however often it is asked about", (kind, read) => {
  const objects = loadBaseObjects() as CustomObject[];
  const object = objects.find((candidate) => candidate.kind === kind) ?? {};
  expect(read(object)).toBe(read(object));
  expect(read({ ...object })).not.toBe(read(object));
});

test("what other definitions let in is told by its field", () => {
  const metadata = { name: "main", namespace: "shop" };
  const spec = { connection: { secretRef: { name: "db" } }, schema: "UPPER" };
  const read = readStore({ apiVersion: "memflow.io/v1alpha1", kind: "Store", metadata, spec });
  expect(read).toMatchObject({
    kind: "Faulty",
    message: expect.stringContaining("spec.schema must be") as string,
  });
});
