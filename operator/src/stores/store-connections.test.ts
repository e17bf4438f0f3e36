/** Connections that reconcilers share, on a real Postgres. */
import { StoreClient } from "@memflow/engine";
import { resolveConnection } from "@memflow/engine/provision";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import type { ScratchStore } from "@memflow/engine/testing/scratch-store";
import { expect, onTestFinished, test } from "vitest";
import { recordLog } from "../testing/log-recorder.ts";
import { StoreConnections } from "./store-connections.ts";
import type { StoreTarget } from "./store-connections.ts";

async function setup(): Promise<{
  connections: StoreConnections;
  scratch: ScratchStore;
  target: StoreTarget;
}> {
  const scratch = await makeScratchStore();
  const connections = new StoreConnections(recordLog().log);
  onTestFinished(() => connections.close());
  const target = { key: "shop/main", uid: "u1", fingerprint: "f1", ...scratch.place };
  return { connections, scratch, target };
}

test("a Store that was connected is found by all, with sessions that answer", async () => {
  const { connections, target } = await setup();
  expect(connections.find("shop/main")).toBeUndefined();
  connections.connect(target);
  const store = connections.find("shop/main");
  const answer = await store?.session.query({ text: "select 1 as one" });
  expect(answer?.rows).toEqual([{ one: 1 }]);
  expect(await store?.observer.look()).toMatchObject({ kind: "Seen" });
});

test("handlers hear of each change once it stands, and one that fails is not in the way", async () => {
  const { connections, target } = await setup();
  const heard: unknown[] = [];
  connections.onChange(() => {
    throw new Error("a programmer's mistake");
  });
  const end = connections.onChange((key) => heard.push([key, connections.find(key)?.uid]));
  expect(connections.connect(target)).toBe(true);
  expect(connections.connect({ ...target })).toBe(false);
  expect(connections.connect({ ...target, fingerprint: "f2" })).toBe(true);
  connections.disconnect("shop/main");
  connections.disconnect("shop/main");
  end();
  connections.connect(target);
  expect(heard).toEqual([
    ["shop/main", "u1"],
    ["shop/main", "u1"],
    ["shop/main", undefined],
  ]);
});

test("a replaced connection answers what was asked of it, and then no more", async () => {
  const { connections, target } = await setup();
  connections.connect(target);
  const before = connections.find("shop/main");
  const asked = before?.session.query({ text: "select 1 as one" });
  connections.connect({ ...target, fingerprint: "f2" });
  expect(connections.find("shop/main")).not.toBe(before);
  expect((await asked)?.rows).toEqual([{ one: 1 }]);
  await expect(before?.session.query({ text: "select 1" })).rejects.toMatchObject({ code: "SESSION_CLOSED" });
});

test("whoever waits for a queue's work is woken once that can be heard, and by each start then, until it does not wait any more", async () => {
  const { connections, scratch, target } = await setup();
  connections.connect(target);
  const store = connections.find("shop/main");
  const [begun, heard] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const wakes = [begun, heard];
  const ended: string[] = [];
  const end = store?.onWork("orders", () => ended.push("woken"));
  store?.onWork("orders", () => wakes.shift()?.resolve());
  end?.();
  // Nothing was sent yet: what came before this was not heard and has to be looked for.
  await begun.promise;
  const client = await StoreClient.open(scratch.place.source, scratch.place.schema);
  onTestFinished(() => client.close());
  await client.start({
    runId: crypto.randomUUID(),
    workflowId: crypto.randomUUID(),
    workflowName: "work",
    taskQueue: "orders",
    input: null,
    options: null,
    delayMs: 0,
    retentionSeconds: 60,
  });
  await heard.promise;
  expect(ended).toEqual([]);
});

test("behind a pooler without a way around it nobody is woken, and nothing fails", async () => {
  const { connections, scratch, target } = await setup();
  const { config } = scratch.place.source;
  const source = resolveConnection({ ...config, pooled: true });
  connections.connect({ ...target, source });
  const end = connections.find("shop/main")?.onWork("orders", () => undefined);
  end?.();
  const answer = await connections.find("shop/main")?.session.query({ text: "select 1 as one" });
  expect(answer?.rows).toEqual([{ one: 1 }]);
});
