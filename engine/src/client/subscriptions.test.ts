/** Subscriptions of a client, when their connection is lost. */
import { expect, onTestFinished, test } from "vitest";
import { EVENT_KIND } from "../core/events.ts";
import { channelName } from "../store/identifiers.ts";
import { topicReference } from "../store/topic-reference.ts";
import { eventually } from "../testing/eventually.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import { StoreClient } from "./store-client.ts";

test("a subscription whose connection was cut says so once it stands again, and hears what comes then", async () => {
  const { place, sql, insertRun, insertEvent } = await makeScratchStore();
  const client = await StoreClient.open(place.source, place.schema);
  onTestFinished(() => client.close());
  const channel = channelName(place.schema, "topic", "paid");
  const gap = Promise.withResolvers<void>();
  const heard: unknown[] = [];
  const unsubscribe = await client.subscribe({
    topic: "paid",
    listener: (topic, data) => heard.push([topic, data]),
    onGap: () => gap.resolve(),
  });
  const runId = await insertRun({ event_count: 2 });
  const emit = async (eventNo: number): Promise<void> => {
    await insertEvent({
      run_id: runId,
      event_no: eventNo,
      kind: EVENT_KIND.emitted,
      position: eventNo - 1,
      payload: JSON.stringify({ paid: { eventNo }, other: 1 }),
    });
    await sql("select pg_notify($1, $2)", [channel, topicReference({ runId, eventNo })]);
  };
  await emit(1);
  await eventually("the first", () => heard.length === 1);
  const cut = await sql(
    "select pg_terminate_backend(pid) from pg_stat_activity where query = $1 and pid <> pg_backend_pid()",
    [`listen "${channel}"`],
  );
  expect(cut).toHaveLength(1);
  await gap.promise;
  await emit(2);
  await eventually("the second", () => heard.length === 2);
  expect(heard).toEqual([
    ["paid", { eventNo: 1 }],
    ["paid", { eventNo: 2 }],
  ]);
  await unsubscribe();
});

test("MemFlow's form of a subscription hears the same", async () => {
  const { place, sql, insertRun, insertEvent } = await makeScratchStore();
  const client = await StoreClient.open(place.source, place.schema);
  onTestFinished(() => client.close());
  const heard = Promise.withResolvers<unknown>();
  await client.sub("paid", (topic, data) => heard.resolve([topic, data]));
  const runId = await insertRun({ event_count: 1 });
  await insertEvent({
    run_id: runId,
    event_no: 1,
    kind: EVENT_KIND.emitted,
    position: 0,
    payload: '{"paid":null}',
  });
  const reference = topicReference({ runId, eventNo: 1 });
  await sql("select pg_notify($1, $2)", [channelName(place.schema, "topic", "paid"), reference]);
  expect(await heard.promise).toEqual(["paid", null]);
});
