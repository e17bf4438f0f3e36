/** What those who look after a store can do through their door. */
import { expect, onTestFinished, test } from "vitest";
import { StoreClient } from "./client/store-client.ts";
import { Listener, assertUsable, listenSource, queueChannel } from "./provision.ts";
import { newId } from "./store/new-id.ts";
import { makeScratchStore } from "./testing/scratch-store.ts";

test("whoever listens to a queue's channel is told of a start on it", async () => {
  const { place } = await makeScratchStore();
  const { facts, source } = await assertUsable(place.source);
  expect(facts).toMatchObject({ pooled: "none", listenWorks: true });
  const direct = listenSource(source);
  if (direct === undefined) throw new Error("a plain connection can listen");
  const heard = Promise.withResolvers<readonly [string, string]>();
  const listener = new Listener({
    source: direct,
    onNotification: (channel, payload) => heard.resolve([channel, payload]),
    onReconnect: () => undefined,
  });
  onTestFinished(() => listener.close());
  await listener.listen(queueChannel(place.schema, "queue"));

  const client = await StoreClient.open(place.source, place.schema);
  onTestFinished(() => client.close());
  await client.start({
    runId: newId(),
    workflowId: "w",
    workflowName: "work",
    taskQueue: "queue",
    input: null,
    options: null,
    delayMs: 0,
    retentionSeconds: 60,
  });
  expect(await heard.promise).toEqual([queueChannel(place.schema, "queue"), "runs"]);
});
