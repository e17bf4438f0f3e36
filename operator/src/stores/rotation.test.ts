/** Passwords are replaced while workers work: the role before stays until nobody uses it. */
import { resolveConnection, Session } from "@memflow/engine/provision";
import { expect, onTestFinished, test } from "vitest";
import { GRACE_MS } from "./core/credential-plan.ts";
import { OperatedStore, reasonOf } from "./testing/operated-store.ts";

const ROTATE = "memflow.io/rotate-credentials";

function uriOf(operated: OperatedStore): string {
  return operated.readSecret("main-worker")?.["uri"] ?? "";
}

async function canLogin(uri: string): Promise<boolean> {
  const session = new Session({ source: resolveConnection(uri), purpose: "test" });
  try {
    await session.query({ text: "select 1" });
    return true;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "AUTHENTICATION_FAILED") throw error;
    return false;
  } finally {
    await session.close();
  }
}

/** Lets the grace pass as a process sees it that looks all the time. */
async function letGracePass(operated: OperatedStore): Promise<void> {
  await operated.settle();
  operated.clock.advance(GRACE_MS);
  await operated.settle();
}

test("a worker that is connected keeps its login until it has gone and the grace is over; no statement fails", async () => {
  const operated = await OperatedStore.start();
  const before = await operated.settle();
  const oldUri = uriOf(operated);
  const worker = new Session({ source: resolveConnection(oldUri), purpose: "flush" });
  onTestFinished(() => worker.close());
  const work = async (): Promise<void> =>
    void (await worker.query({ text: `delete from ${operated.schema}.runs` }));
  await work();

  operated.change({ annotations: { [ROTATE]: "2026-01-01" } });
  const rotating = await operated.settle();
  expect(reasonOf(rotating, "CredentialsValid")).toBe("Rotating");
  expect(reasonOf(rotating, "Ready")).toBe("AllChecksPassed");
  expect(rotating.credentialsHash).not.toBe(before.credentialsHash);
  expect(operated.events.slice(-2)).toEqual(["CredentialsRotated", "CredentialsRotated"]);
  expect(uriOf(operated)).not.toBe(oldUri);
  expect([await canLogin(oldUri), await canLogin(uriOf(operated))]).toEqual([true, true]);

  await letGracePass(operated);
  await work();
  expect(await canLogin(oldUri)).toBe(true);

  await worker.close();
  await letGracePass(operated);
  expect([await canLogin(oldUri), await canLogin(uriOf(operated))]).toEqual([false, true]);
  const settled = await operated.settle();
  expect(reasonOf(settled, "CredentialsValid")).toBe("RolesReady");
  expect(settled.credentialsHash).toBe(rotating.credentialsHash);
});

test("passwords are replaced when they are as old as rotateEvery says, by the other role", async () => {
  const operated = await OperatedStore.start({ spec: { provisioning: { rotateEvery: "2h" } } });
  await operated.settle();
  const user = (): string => new URL(uriOf(operated)).username;
  const first = user();
  operated.clock.advance(2 * 3_600_000 - 1);
  await operated.settle();
  expect(user()).toBe(first);
  operated.clock.advance(1);
  await operated.settle();
  const second = user();
  expect(second).not.toBe(first);
  await letGracePass(operated);
  operated.clock.advance(2 * 3_600_000);
  await operated.settle();
  expect(user()).toBe(first);
  expect(await operated.roles()).toHaveLength(4);
});

test("a password that somebody changed in the database is set again, and no pod has to roll", async () => {
  const operated = await OperatedStore.start();
  const before = await operated.settle();
  const { username } = new URL(uriOf(operated));
  await operated.admin.query({ text: `alter role ${username} password 'meddled'` });
  operated.clock.advance(300_000);
  const after = await operated.settle();
  expect(await canLogin(uriOf(operated))).toBe(true);
  expect(after.credentialsHash).toBe(before.credentialsHash);
});

test("no password is ever in a statement", async () => {
  const operated = await OperatedStore.start();
  await operated.settle();
  const { username, password } = new URL(uriOf(operated));
  const { rows } = await operated.admin.query<{ kept: string }>({
    text: "select rolpassword as kept from pg_authid where rolname = $1",
    values: [username],
  });
  expect(rows[0]?.kept).toMatch(/^SCRAM-SHA-256\$4096:/u);
  expect(rows[0]?.kept).not.toContain(password);
});
