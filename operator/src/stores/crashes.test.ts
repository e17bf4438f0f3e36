/** The operator dies between any two writes; the next one comes to the same end. */
import { resolveConnection, Session } from "@memflow/engine/provision";
import { expect, test } from "vitest";
import { STORES } from "../api/index.ts";
import { GRACE_MS } from "./core/credential-plan.ts";
import { conditionsText, NAMESPACE, OperatedStore, STORE_NAME } from "./testing/operated-store.ts";

const CRASH_TIMEOUT_MS = 120_000;

/** Lets what is left of a crash come to its end: a role that nobody uses loses its login. */
async function comeToRest(operated: OperatedStore): Promise<void> {
  await operated.settle();
  operated.clock.advance(GRACE_MS);
  await operated.settle();
}

/** Names of objects, the conditions, and which roles can log in: one of each audience. */
async function endOf(operated: OperatedStore): Promise<unknown> {
  const status = await operated.settle();
  const roles = (await operated.roles()).filter(({ canLogin }) => canLogin);
  const logins: string[] = [];
  for (const name of ["main-worker", "main-gateway"]) {
    const uri = operated.readSecret(name)?.["uri"] ?? "";
    const session = new Session({ source: resolveConnection(uri), purpose: "test" });
    const { rows } = await session.query<{ role: string }>({ text: "select current_user::text as role" });
    await session.close();
    logins.push(rows[0]?.role ?? "");
  }
  expect(roles.map(({ name }) => name)).toEqual(logins.toSorted());
  return { conditions: conditionsText(status), schema: status.schemaVersion };
}

async function undisturbed(): Promise<unknown> {
  const operated = await OperatedStore.start();
  await comeToRest(operated);
  return endOf(operated);
}

test("killed at a step of provisioning", { timeout: CRASH_TIMEOUT_MS }, async () => {
  const expected = await undisturbed();
  const operated = await OperatedStore.start();
  await operated.settleUntilSchema();
  operated.crashAt("stores.roleSet");
  await expect(operated.reconcile()).rejects.toThrow("crashed at stores.roleSet");
  await operated.restart();
  await comeToRest(operated);
  expect(await endOf(operated)).toEqual(expected);
});

test("killed before the first Secret is written: its role is taken again, no other has to wait for its end", async () => {
  const operated = await OperatedStore.start();
  await operated.settleUntilSchema();
  operated.crashAt("stores.roleSet");
  await expect(operated.reconcile()).rejects.toThrow("crashed at stores.roleSet");
  await operated.restart();
  const status = await operated.settle();
  expect(conditionsText(status)).toContain("CredentialsValid=True/RolesReady");
  const roles = await operated.roles();
  expect(roles.map(({ name, canLogin }) => `${name.slice(-2)} ${canLogin}`)).toEqual(["_a true", "_a true"]);
});

test("killed while a role is retired", { timeout: CRASH_TIMEOUT_MS }, async () => {
  const expected = await undisturbed();
  const operated = await OperatedStore.start();
  await operated.settle();
  operated.change({ annotations: { "memflow.io/rotate-credentials": "1" } });
  await operated.settle();
  operated.clock.advance(GRACE_MS);
  operated.crashAt("stores.roleRetired");
  await expect(operated.reconcile()).rejects.toThrow("crashed at stores.roleRetired");
  await operated.restart();
  await comeToRest(operated);
  expect(await endOf(operated)).toEqual(expected);
});

test("each write to the API server is lost, or its answer is", { timeout: CRASH_TIMEOUT_MS }, async () => {
  const expected = await undisturbed();
  for (const kind of ["reset", "lose-answer"] as const) {
    for (const plural of ["secrets", "stores"]) {
      const operated = await OperatedStore.start();
      await operated.settleUntilSchema();
      operated.api.faults.inject({ kind }, { verbs: ["patch"], plural });
      await operated.reconcile().catch(() => undefined);
      expect(operated.api.faults.metCount).toBe(1);
      await operated.restart();
      await comeToRest(operated);
      expect(await endOf(operated), `${kind} of ${plural}`).toEqual(expected);
    }
  }
});

test("killed after the schema was dropped: the next one finds nothing to drop, and lets the Store go", async () => {
  const operated = await OperatedStore.start({ spec: { deletionPolicy: "DropSchema" } });
  await operated.settle();
  await operated.roles();
  operated.api.cluster.delete(STORES, { namespace: NAMESPACE, name: STORE_NAME });
  operated.crashAt("stores.schemaDropped");
  await expect(operated.reconcile()).rejects.toThrow("crashed at stores.schemaDropped");
  expect(operated.isThere).toBe(true);
  await operated.restart();
  await operated.reconcile();
  expect(operated.isThere).toBe(false);
  expect(await operated.roles()).toEqual([]);
});
