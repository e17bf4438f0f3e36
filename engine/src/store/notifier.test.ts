/** Notifying: at once, bundled, within the limits, and never in anyone's way. */
import fc from "fast-check";
import { afterAll, afterEach, expect, test } from "vitest";
import { testSource, uniqueName } from "../testing/test-database.ts";
import { resolveConnection } from "./connection-source.ts";
import type { ConnectionSource } from "./connection-source.ts";
import { Listener } from "./listener.ts";
import { joinIds, Notifier, PAYLOAD_BYTES_MAX } from "./notifier.ts";

const heard: { channel: string; payload: string }[] = [];
const listener = new Listener({
  source: testSource(),
  onNotification: (channel, payload) => void heard.push({ channel, payload }),
  onReconnect: () => undefined,
});
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  heard.length = 0;
});
afterAll(() => listener.close());

function openNotifier(source: ConnectionSource = testSource(), intervalMs?: number): Notifier {
  const notifier = new Notifier({ source, ...(intervalMs === undefined ? {} : { intervalMs }) });
  cleanups.push(() => notifier.close());
  return notifier;
}

async function freshChannel(): Promise<string> {
  const channel = uniqueName();
  await listener.listen(channel);
  cleanups.push(() => listener.unlisten(channel));
  return channel;
}

function idsHeard(channel: string): string[] {
  return heard.filter((each) => each.channel === channel).flatMap(({ payload }) => payload.split(","));
}

test("an id is sent at once when idle", async () => {
  const channel = await freshChannel();
  // With this interval a second statement would never come in time.
  const notifier = openNotifier(testSource(), 600_000);
  notifier.notify(channel, "first");
  await expect.poll(() => idsHeard(channel)).toEqual(["first"]);
  expect(notifier.sentCount).toBe(1);
});

test("ids that come while a statement is under way go together, each once, in the next one", async () => {
  const channel = await freshChannel();
  const notifier = openNotifier();
  notifier.notify(channel, "first");
  for (const id of ["a", "b", "a", "c", "b"]) notifier.notify(channel, id);
  await expect.poll(() => idsHeard(channel)).toEqual(["first", "a", "b", "c"]);
  expect(notifier.sentCount).toBe(2);
});

test("an id that was sent before is sent again", async () => {
  const channel = await freshChannel();
  const notifier = openNotifier();
  notifier.notify(channel, "a");
  await expect.poll(() => idsHeard(channel)).toEqual(["a"]);
  notifier.notify(channel, "a");
  await expect.poll(() => idsHeard(channel)).toEqual(["a", "a"]);
});

test("several channels go in one statement, each with its own ids", async () => {
  const [one, other] = [await freshChannel(), await freshChannel()];
  const notifier = openNotifier();
  notifier.notify(one, "");
  notifier.notify(other, "1");
  notifier.notify(one, "2");
  await expect.poll(() => [idsHeard(one), idsHeard(other)]).toEqual([["", "2"], ["1"]]);
  expect(notifier.sentCount).toBe(2);
});

test("ten thousand ids arrive, in payloads that Postgres takes", async () => {
  const channel = await freshChannel();
  const notifier = openNotifier();
  const ids = Array.from({ length: 10_000 }, (_unused, index) => `ünïque-id-${index}`);
  for (const id of ids) notifier.notify(channel, id);
  await expect.poll(() => idsHeard(channel).length).toBe(ids.length);
  expect(new Set(idsHeard(channel))).toEqual(new Set(ids));
  expect(notifier.droppedCount).toBe(0);
});

test("close sends what still waits", async () => {
  const channel = await freshChannel();
  const notifier = openNotifier(testSource(), 600_000);
  notifier.notify(channel, "1");
  notifier.notify(channel, "2");
  await notifier.close();
  await expect.poll(() => idsHeard(channel)).toEqual(["1", "2"]);
  notifier.notify(channel, "3");
  expect(notifier.droppedCount).toBe(1);
});

test("what cannot be sent is dropped and counted, and what comes after the outage is sent", async () => {
  const channel = await freshChannel();
  const away = resolveConnection("postgresql://u:p@127.0.0.1:1/nowhere");
  const back = testSource();
  let source = away;
  const notifier = openNotifier({ ...away, createClient: (overrides) => source.createClient(overrides) });
  notifier.notify(channel, "lost");
  await expect.poll(() => notifier.droppedCount).toBe(1);
  source = back;
  notifier.notify(channel, "after");
  await expect.poll(() => idsHeard(channel)).toEqual(["after"]);
});

test("its session does not wait for the disk", async () => {
  const plain = testSource();
  const settings: Promise<unknown>[] = [];
  const notifier = openNotifier({
    ...plain,
    createClient: (overrides) => {
      const client = plain.createClient(overrides);
      client.once("drain", () => settings.push(client.query("show synchronous_commit")));
      return client;
    },
  });
  notifier.notify(uniqueName(), "1");
  await expect.poll(() => settings.length).toBe(1);
  expect(await settings[0]).toMatchObject({ rows: [{ synchronous_commit: "off" }] });
});

test.each(["a,b", "a\0", "x".repeat(PAYLOAD_BYTES_MAX)])(
  "an id that could not be told apart or sent is refused",
  (id) => {
    expect(() => openNotifier().notify("channel", id)).toThrow(RangeError);
  },
);

test("payloads hold every id of a channel once, in order, and stay within the limit", () => {
  const anyId = fc.string({ unit: "grapheme", maxLength: 2_000 }).map((text) => text.replaceAll(",", ";"));
  const anyPending = fc.dictionary(
    fc.string({ maxLength: 5 }),
    fc.uniqueArray(anyId, { minLength: 1, maxLength: 50 }),
  );
  fc.assert(
    fc.property(anyPending, (pending) => {
      const entries = Object.entries(pending);
      const { channels, payloads } = joinIds(
        new Map(entries.map(([channel, ids]) => [channel, new Set(ids)])),
      );
      for (const payload of payloads)
        expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(PAYLOAD_BYTES_MAX);
      for (const [channel, ids] of entries) {
        const mine = payloads.filter((_payload, index) => channels[index] === channel);
        expect(mine.flatMap((payload) => payload.split(","))).toEqual(ids);
      }
    }),
  );
});
