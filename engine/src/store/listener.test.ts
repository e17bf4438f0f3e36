/** Listening: through every kind of loss. */
import { AsyncLocalStorage } from "node:async_hooks";
import type pg from "pg";
import { afterAll, afterEach, expect, test } from "vitest";
import { startTcpProxy } from "../testing/tcp-proxy.ts";
import { testDatabaseUrl, testDatabaseUrlWith, testSource, uniqueName } from "../testing/test-database.ts";
import { resolveConnection } from "./connection-source.ts";
import { Listener } from "./listener.ts";
import type { ListenerOptions } from "./listener.ts";
import { Session } from "./session.ts";

const admin = new Session({ source: testSource(), purpose: "test" });
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});
afterAll(() => admin.close());

/** A listener, what it heard, and promises for what it does next. */
function openListener(options: Partial<ListenerOptions> = {}) {
  const heard: string[] = [];
  const errors: unknown[] = [];
  const waiting: (() => void)[] = [];
  const counts = { reconnects: 0 };
  const listener = new Listener({
    source: testSource(),
    backoff: { firstMs: 5, maxMs: 20 },
    onNotification: (channel, payload) => void heard.push(`${channel}:${payload}`),
    onReconnect: () => {
      counts.reconnects += 1;
      for (const resolve of waiting.splice(0)) resolve();
    },
    onError: (error) => void errors.push(error),
    ...options,
  });
  cleanups.push(() => listener.close());
  const reconnected = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  return { listener, heard, errors, counts, reconnected };
}

async function openProxy() {
  const { hostname, port } = new URL(testDatabaseUrl());
  const proxy = await startTcpProxy({ host: hostname, port: Number(port || 5432) });
  cleanups.push(() => proxy.close());
  return { proxy, source: resolveConnection(testDatabaseUrlWith({ host: `127.0.0.1:${proxy.port}` })) };
}

async function send(channel: string, payload: string): Promise<void> {
  await admin.query({ text: "select pg_notify($1, $2)", values: [channel, payload] });
}

test("what is sent to a channel is heard, on that channel alone, once listen has settled", async () => {
  const { listener, heard } = openListener();
  const [mine, other] = [uniqueName(), uniqueName(' quoted " name')];
  await listener.listen(mine);
  await listener.listen(other);
  await send(uniqueName(), "elsewhere");
  await send(mine, "1");
  await send(other, "2");
  await expect.poll(() => heard).toEqual([`${mine}:1`, `${other}:2`]);
});

test("listening to a channel again is one subscription, and both calls settle", async () => {
  const { listener, heard } = openListener();
  const channel = uniqueName();
  await Promise.all([listener.listen(channel), listener.listen(channel)]);
  await listener.listen(channel);
  await send(channel, "1");
  await expect.poll(() => heard).toEqual([`${channel}:1`]);
});

test("after unlisten nothing of the channel is heard", async () => {
  const { listener, heard } = openListener();
  const [left, kept] = [uniqueName(), uniqueName()];
  await Promise.all([listener.listen(left), listener.listen(kept)]);
  await listener.unlisten(left);
  await send(left, "1");
  await send(kept, "2");
  await expect.poll(() => heard).toEqual([`${kept}:2`]);
});

test("a channel that is left and wanted again at once is heard", async () => {
  const { listener, heard } = openListener();
  const channel = uniqueName();
  await listener.listen(channel);
  const leaving = listener.unlisten(channel);
  await listener.listen(channel);
  await leaving;
  await send(channel, "1");
  await expect.poll(() => heard).toEqual([`${channel}:1`]);
});

test("a channel that is given up before Postgres has confirmed it is not listened to", async () => {
  const clients: pg.Client[] = [];
  const plain = testSource();
  const { listener, heard } = openListener({
    source: {
      ...plain,
      createClient: (overrides) => {
        const client = plain.createClient(overrides);
        clients.push(client);
        return client;
      },
    },
  });
  const [given, kept] = [uniqueName(), uniqueName()];
  await listener.listen(kept);
  const listening = listener.listen(given);
  await Promise.resolve();
  await listener.unlisten(given);
  await listening;
  // The next channel is confirmed after all that was begun before it.
  await listener.listen(uniqueName());
  const result = await clients[0]?.query<{ channel: string }>("select pg_listening_channels() as channel");
  const channels = result?.rows.map(({ channel }) => channel);
  expect(channels).toContain(kept);
  expect(channels).not.toContain(given);
  expect(heard).toEqual([]);
});

test("a connection that was lost without channels is made again for the next one", async () => {
  const { proxy, source } = await openProxy();
  const { listener, heard, errors } = openListener({ source });
  const channel = uniqueName();
  await listener.listen(channel);
  await listener.unlisten(channel);
  proxy.cut();
  await expect.poll(() => errors.length).toBe(1);
  await listener.listen(channel);
  await send(channel, "1");
  await expect.poll(() => heard).toEqual([`${channel}:1`]);
});

test("after its backend was terminated it listens again to every channel and calls onReconnect", async () => {
  const { listener, heard, errors, counts, reconnected } = openListener();
  const channels = [uniqueName(), uniqueName()];
  await Promise.all(channels.map((channel) => listener.listen(channel)));
  expect(counts.reconnects).toBe(0);
  const back = reconnected();
  await admin.query({ text: "select pg_terminate_backend($1)", values: [listener.backendPid] });
  await back;
  for (const channel of channels) await send(channel, "after");
  await expect.poll(() => heard).toEqual(channels.map((channel) => `${channel}:after`));
  expect(counts.reconnects).toBe(1);
  expect(errors).toHaveLength(1);
});

test("a half-open connection is found by the keep-alive within its deadline and replaced", async () => {
  const { proxy, source } = await openProxy();
  const { listener, heard, reconnected } = openListener({ source, keepAliveMs: 20, deadlineMs: 200 });
  const channel = uniqueName();
  await listener.listen(channel);
  const back = reconnected();
  proxy.freeze();
  await send(channel, "lost");
  await back;
  await send(channel, "heard");
  await expect.poll(() => heard).toEqual([`${channel}:heard`]);
});

test("while the database is away it keeps trying, and listen settles when it is back", async () => {
  const { proxy, source } = await openProxy();
  proxy.freeze({ newToo: true });
  const { listener, heard, errors } = openListener({ source, deadlineMs: 250 });
  const channel = uniqueName();
  const listening = listener.listen(channel);
  await expect.poll(() => errors.length).toBeGreaterThan(2);
  proxy.thaw();
  await listening;
  await send(channel, "1");
  await expect.poll(() => heard).toEqual([`${channel}:1`]);
});

test("a connection that is cut again and again ends in one that works", async () => {
  const { proxy, source } = await openProxy();
  const { listener, heard, reconnected } = openListener({ source });
  const channel = uniqueName();
  await listener.listen(channel);
  for (let cut = 0; cut < 5; cut += 1) {
    const back = reconnected();
    proxy.cut();
    await back;
  }
  await send(channel, "1");
  await expect.poll(() => heard).toEqual([`${channel}:1`]);
});

test("notifications arrive outside the context in which listen was called", async () => {
  const context = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const { listener } = openListener({ onNotification: () => void seen.push(context.getStore()) });
  const channel = uniqueName();
  await context.run("a run", () => listener.listen(channel));
  await send(channel, "1");
  await expect.poll(() => seen).toEqual([undefined]);
});

test("close ends the connection, settles whoever waits, and nothing is called after it", async () => {
  const { proxy, source } = await openProxy();
  const { listener, heard, counts } = openListener({ source });
  const channel = uniqueName();
  await listener.listen(channel);
  expect(listener.connected).toBe(true);
  await listener.close();
  expect(listener.connected).toBe(false);
  await expect.poll(() => proxy.connectionCount).toBe(0);
  await send(channel, "1");
  await listener.listen(channel);
  await listener.unlisten(channel);
  await listener.close();
  expect([heard, counts.reconnects]).toEqual([[], 0]);
});

test("close while the database is away settles whoever waits for a channel", async () => {
  const { listener, errors } = openListener({
    source: resolveConnection("postgresql://u:p@127.0.0.1:1/nowhere"),
  });
  const listening = listener.listen(uniqueName());
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  expect(errors[0]).toMatchObject({ code: "DATABASE_UNREACHABLE" });
  await listener.close();
  await listening;
  expect(listener.connected).toBe(false);
});
