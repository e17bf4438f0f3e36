/** Subscriptions, without a database. */
import { expect, test, vi } from "vitest";
import { newId } from "../store/new-id.ts";
import { topicReference } from "../store/topic-reference.ts";
import { Topics } from "./topics.ts";
import type { TopicsHost } from "./topics.ts";

/** Reads give the numbers of the events that they are asked for; `read` may be replaced. */
function makeTopics(read: TopicsHost["read"]) {
  const host = {
    channelOf: (topic: string) => `channel of ${topic}`,
    listen: vi.fn<TopicsHost["listen"]>(async () => {
      await Promise.resolve();
    }),
    unlisten: vi.fn<TopicsHost["unlisten"]>(async () => {
      await Promise.resolve();
    }),
    read: vi.fn<TopicsHost["read"]>(read),
  };
  return { host, topics: new Topics(host) };
}

const references = (count: number): string =>
  Array.from({ length: count }, (_, index) => topicReference({ runId: newId(), eventNo: index + 1 })).join(
    ",",
  );

test("a notification of no topic is somebody else's", async () => {
  const { topics } = makeTopics(async () => await Promise.resolve([]));
  await topics.add({ topic: "t", listener: () => undefined });
  expect([topics.notified("channel of t", ""), topics.notified("channel of u", "")]).toEqual([true, false]);
});

test("notifications are read in bounded pages, one after the other, and handed over in their order", async () => {
  let reading = 0;
  let number = 0;
  const { host, topics } = makeTopics(async () => {
    reading += 1;
    expect(reading).toBe(1);
    await Promise.resolve();
    reading -= 1;
    number += 1;
    return [{ data: number }];
  });
  const heard = Promise.withResolvers<unknown[]>();
  const list: unknown[] = [];
  await topics.add({
    topic: "t",
    listener: (_topic, data) => {
      list.push(data);
      if (list.length === 4) heard.resolve(list);
    },
  });
  topics.notified("channel of t", references(250));
  topics.notified("channel of t", references(1));
  expect(await heard.promise).toEqual([1, 2, 3, 4]);
  expect(host.read).toHaveBeenCalledTimes(4);
});

test("the channel is left with its last subscription, and only then", async () => {
  const { host, topics } = makeTopics(async () => await Promise.resolve([]));
  const listener = (): void => undefined;
  const [first, second] = [
    await topics.add({ topic: "t", listener }),
    await topics.add({ topic: "t", listener }),
  ];
  await first();
  await first();
  expect(host.unlisten).not.toHaveBeenCalled();
  await second();
  expect(host.unlisten).toHaveBeenCalledExactlyOnceWith("channel of t");
  expect(topics.notified("channel of t", "")).toBe(false);
});

test("a lost connection and data that can't be read are told as a gap; what comes later is heard", async () => {
  let broken = true;
  const { topics } = makeTopics(async () => {
    if (broken) throw new Error("away");
    return await Promise.resolve([{ data: "later" }]);
  });
  const gaps: unknown[] = [];
  const heard = Promise.withResolvers<unknown>();
  await topics.add({
    topic: "t",
    listener: (_topic, data) => heard.resolve(data),
    onGap: (error) => {
      gaps.push(error);
      broken = false;
      topics.notified("channel of t", references(1));
    },
  });
  topics.notified("channel of t", references(1));
  expect(await heard.promise).toBe("later");
  topics.gap();
  await Promise.resolve();
  expect(gaps).toEqual([new Error("away"), undefined]);
});
