/** How a store stays equal to the server's objects, whatever the server does. */
import { expect, onTestFinished, test } from "vitest";
import { recordLog } from "../testing/log-recorder.ts";
import type { LogEntry } from "../testing/log-recorder.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import type { Fault, FaultTarget, WatchBreak } from "../testing/mock-api/faults.ts";
import { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { widget, WIDGETS } from "../testing/widgets.ts";
import type { Widget } from "../testing/widgets.ts";
import { KubeProtocolError } from "./errors.ts";
import { KubeClient } from "./kube-client.ts";
import { Reflector } from "./reflector.ts";
import type { ObjectChange, ReflectorOptions } from "./reflector.ts";
import { metadataOf } from "./resource-type.ts";

interface Bundle {
  readonly api: MockApiServer;
  readonly client: KubeClient;
  readonly reflector: Reflector<Widget>;
  /** What the handler heard: `added a`. */
  readonly heard: string[];
  readonly changes: ObjectChange<Widget>[];
  readonly logged: readonly LogEntry[];
}

interface SetupOptions extends Partial<Omit<ReflectorOptions<Widget>, "client" | "log">> {
  readonly clock?: ManualClock;
}

const A = { namespace: "default", name: "a" } as const;
const LIST: FaultTarget = { verbs: ["list"] };
const WATCH: FaultTarget = { verbs: ["watch"] };

async function setup({ clock, ...options }: SetupOptions = {}): Promise<Bundle> {
  const api = await MockApiServer.start({ types: [WIDGETS] });
  const client = new KubeClient({
    kubeConfig: api.kubeConfig(),
    attemptMax: 1,
    attemptTimeoutMs: 5_000,
    ...(clock ? { clock } : {}),
  });
  const { entries, log } = recordLog();
  const reflector = new Reflector<Widget>({
    client,
    type: WIDGETS,
    log,
    backoff: { firstMs: 1, maxMs: 5 },
    ...options,
  });
  const heard: string[] = [];
  const changes: ObjectChange<Widget>[] = [];
  reflector.onChange((change) => {
    heard.push(`${change.type} ${change.object.metadata?.name ?? ""}`);
    changes.push(change);
    api.bell.ring();
  });
  onTestFinished(async () => {
    await reflector.stop();
    await client.close();
    await api.close();
  });
  return { api, client, reflector, heard, changes, logged: entries };
}

/** Waits until the reflector follows a watch. */
async function untilWatching({ api, reflector }: Bundle, watchCount = 1): Promise<void> {
  await api.bell.until(() => api.watchCount > 0 && api.requestsOf("watch").length >= watchCount);
  await reflector.whenSynced();
}

async function untilHeard({ api, heard }: Bundle, ...words: string[]): Promise<void> {
  await api.bell.until(() => words.every((word) => heard.includes(word)));
}

test("a store begins as the list, in pages, and follows the watch", async () => {
  const bundle = await setup({ pageSize: 2 });
  const { api, reflector, heard } = bundle;
  for (const name of ["a", "b", "c", "d", "e"]) api.cluster.create(WIDGETS, widget(name));
  reflector.start();
  await untilWatching(bundle);
  expect(api.requestsOf("list").length).toBe(3);
  expect(heard).toEqual(["added a", "added b", "added c", "added d", "added e"]);
  api.cluster.replace(WIDGETS, widget("a", { spec: { size: 2 } }));
  api.cluster.delete(WIDGETS, { ...A, name: "b" });
  api.cluster.create(WIDGETS, widget("f"));
  await untilHeard(bundle, "updated a", "deleted b", "added f");
  expect(reflector.store.keys().toSorted()).toEqual(
    ["a", "c", "d", "e", "f"].map((name) => `default/${name}`),
  );
  expect(reflector.store.get("default/a")).toMatchObject({ kind: "Widget", spec: { size: 2 } });
});

test("a handler that comes late hears first of what is there, and one that left hears nothing", async () => {
  const bundle = await setup();
  const { api, reflector } = bundle;
  api.cluster.create(WIDGETS, widget("a"));
  reflector.start();
  await untilWatching(bundle);
  const late: string[] = [];
  const leave = reflector.onChange(({ type, key }) => late.push(`${type} ${key}`));
  expect(late).toEqual(["added default/a"]);
  leave();
  api.cluster.create(WIDGETS, widget("b"));
  await untilHeard(bundle, "added b");
  expect(late).toEqual(["added default/a"]);
});

test("an error of one handler reaches neither the others nor the reflector, and is logged", async () => {
  const bundle = await setup();
  const { api, reflector, logged } = bundle;
  const order: string[] = [];
  reflector.onChange(() => {
    throw new Error("broken handler");
  });
  reflector.onChange(({ key }) => order.push(key));
  api.cluster.create(WIDGETS, widget("a"));
  reflector.start();
  await untilWatching(bundle);
  api.cluster.create(WIDGETS, widget("b"));
  await untilHeard(bundle, "added b");
  expect(order).toEqual(["default/a", "default/b"]);
  expect(reflector.state.handlerErrorCount).toBe(2);
  expect(logged).toContainEqual({
    level: "error",
    message: "a handler of changes failed",
    fields: { resource: "widgets", key: "default/a", error: "broken handler" },
  });
});

const LIST_FAULTS: readonly Fault[] = [
  { kind: "reset" },
  { kind: "refuse", status: 500 },
  { kind: "refuse", status: 429 },
  { kind: "refuse", status: 410, reason: "Expired" },
  { kind: "refuse", status: 403, reason: "Forbidden" },
  { kind: "cut-body" },
  { kind: "garble" },
  { kind: "slow-body" },
];

test.each(LIST_FAULTS)("a first list that meets $kind $status is made good", async (fault) => {
  const bundle = await setup();
  const { api, reflector, heard } = bundle;
  api.cluster.create(WIDGETS, widget("a"));
  api.faults.inject(fault, LIST, 3);
  reflector.start();
  await untilWatching(bundle);
  expect(api.faults.metCount).toBeGreaterThan(0);
  expect(heard).toEqual(["added a"]);
});

test.each(["silence", "stall-body"] as const)(
  "a list that ends in %s is given up and made again",
  async (kind) => {
    const clock = new ManualClock();
    const bundle = await setup({ clock, random: () => 0 });
    const { api, reflector, heard } = bundle;
    api.cluster.create(WIDGETS, widget("a"));
    api.faults.inject({ kind }, LIST);
    reflector.start();
    await api.bell.until(() => api.requests.length === 1);
    clock.advance(5_000);
    await clock.untilPending(0);
    clock.advance(0);
    await untilWatching(bundle);
    expect(heard).toEqual(["added a"]);
  },
);

test("a list whose next page has run out is read again in one piece", async () => {
  const bundle = await setup({ pageSize: 2 });
  const { api, reflector, heard } = bundle;
  for (const name of ["a", "b", "c"]) api.cluster.create(WIDGETS, widget(name));
  api.bell.onRing(() => {
    if (api.requestsOf("list").length === 2) api.pages.expire();
  });
  reflector.start();
  await untilWatching(bundle);
  expect(api.requestsOf("list").map(({ query }) => query.get("limit"))).toEqual(["2", "2", null]);
  expect(heard).toEqual(["added a", "added b", "added c"]);
});

const WATCH_REFUSALS: readonly Fault[] = [
  { kind: "reset" },
  { kind: "refuse", status: 500 },
  { kind: "refuse", status: 429 },
  { kind: "garble" },
];
const WATCH_BREAKS: readonly WatchBreak[] = [
  "reset",
  "end",
  "truncated-line",
  "garbled-line",
  { status: 500, reason: "InternalError" },
  { status: 429, reason: "TooManyRequests" },
];

test.each([
  ...WATCH_REFUSALS.map((fault) => ({ name: `${fault.kind} at its opening`, fault })),
  ...WATCH_BREAKS.flatMap((by) =>
    [0, 2].map((afterCount) => ({
      name: `${typeof by === "string" ? by : by.reason} after ${afterCount} events`,
      fault: { kind: "break-watch", afterCount, by } as const,
    })),
  ),
])("a watch with $name goes on from where it was, without another list", async ({ fault }) => {
  const bundle = await setup();
  const { api, reflector, heard } = bundle;
  api.faults.inject(fault, WATCH, 3);
  reflector.start();
  await reflector.whenSynced();
  for (const name of ["a", "b", "c", "d", "e"]) api.cluster.create(WIDGETS, widget(name));
  await untilHeard(bundle, "added e");
  expect(heard).toEqual(["added a", "added b", "added c", "added d", "added e"]);
  expect(api.requestsOf("list").length).toBe(1);
});

test.each([
  { name: "as a status", fault: { kind: "refuse", status: 410, reason: "Expired" } },
  {
    name: "as an event",
    fault: { kind: "break-watch", afterCount: 0, by: { status: 410, reason: "Expired" } },
  },
] as const)("410 $name leads to one new list, which also finds what was deleted", async ({ fault }) => {
  const bundle = await setup();
  const { api, reflector, heard } = bundle;
  for (const name of ["a", "b"]) api.cluster.create(WIDGETS, widget(name));
  reflector.start();
  await untilWatching(bundle);
  // Nobody hears of the deletion: the watch is silent, and the server forgets the change.
  api.breakWatches("silence");
  api.cluster.delete(WIDGETS, A);
  api.cluster.create(WIDGETS, widget("c"));
  api.cluster.compact();
  api.faults.inject(fault, WATCH);
  api.breakWatches("reset");
  await untilHeard(bundle, "deleted a", "added c");
  await untilWatching(bundle, 3);
  expect(api.requestsOf("list").length).toBe(2);
  expect(heard).toEqual(["added a", "added b", "deleted a", "added c"]);
});

test("a server that answers every watch with 410 is not flooded with lists", async () => {
  const clock = new ManualClock();
  const { api, reflector } = await setup({
    clock,
    random: () => 0.5,
    backoff: { firstMs: 100, maxMs: 1_000 },
  });
  api.faults.inject({ kind: "refuse", status: 410 }, WATCH, Infinity);
  reflector.start();
  // The first 410 is followed at once; the second in a row waits.
  for (const pauseMs of [100, 200, 400, 500, 500]) {
    await clock.untilPending(pauseMs);
    clock.advance(pauseMs);
  }
  await clock.untilPending(500);
  expect(api.requestsOf("list").length).toBe(7);
});

test("a server that ends every watch at once is not flooded with watches", async () => {
  const clock = new ManualClock();
  const { api, reflector } = await setup({
    clock,
    random: () => 0.5,
    backoff: { firstMs: 100, maxMs: 1_000 },
  });
  api.faults.inject({ kind: "break-watch", afterCount: 0, by: "end" }, WATCH, Infinity);
  reflector.start();
  for (const pauseMs of [50, 100, 200, 400, 500]) {
    await clock.untilPending(pauseMs);
    clock.advance(pauseMs);
  }
  await clock.untilPending(500);
  expect(api.requestsOf("watch").length).toBe(6);
});

test("a server that asks for a pause gets it", async () => {
  const clock = new ManualClock();
  const bundle = await setup({ clock, random: () => 0 });
  bundle.api.faults.inject({ kind: "refuse", status: 429, retryAfterSeconds: 9 }, WATCH);
  bundle.reflector.start();
  await clock.untilPending(9_000);
  expect(bundle.api.requestsOf("watch").length).toBe(1);
  clock.advance(9_000);
  await untilWatching(bundle, 2);
});

test("each watch asks for bookmarks, and for an end between 240 and 360 seconds away", async () => {
  let random = 0;
  const bundle = await setup({ random: () => random });
  const { api, reflector } = bundle;
  reflector.start();
  await untilWatching(bundle);
  random = 0.999;
  api.cluster.create(WIDGETS, widget("a"));
  await untilHeard(bundle, "added a");
  api.breakWatches("end");
  await untilWatching(bundle, 2);
  const queries = api.requestsOf("watch").map(({ query }) => query);
  expect(queries.map((query) => query.get("timeoutSeconds"))).toEqual(["240", "360"]);
  expect(queries.map((query) => query.get("allowWatchBookmarks"))).toEqual(["true", "true"]);
});

test("a watch that falls silent is opened anew from where it was, at once", async () => {
  const clock = new ManualClock();
  const bundle = await setup({ clock, idleMs: 30_000 });
  const { api, reflector } = bundle;
  reflector.start();
  await untilWatching(bundle);
  await clock.untilPending(30_000);
  api.breakWatches("silence");
  api.cluster.create(WIDGETS, widget("a"));
  clock.advance(30_000);
  await untilHeard(bundle, "added a");
  expect(api.requestsOf("list").length).toBe(1);
  expect(api.requestsOf("watch").length).toBe(2);
  expect(reflector.state.failureCount).toBe(0);
});

test("bookmarks keep a quiet watch alive, and its place fresh: a forgotten past costs no list", async () => {
  const clock = new ManualClock();
  const bundle = await setup({ clock, idleMs: 30_000 });
  const { api, reflector } = bundle;
  reflector.start();
  await untilWatching(bundle);
  await clock.untilPending(30_000);
  for (let count = 0; count < 5; count++) {
    clock.advance(29_000);
    // Another type changes, so that bookmarks have something to tell.
    api.cluster.rewind(api.cluster.revision + 10);
    api.sendBookmarks();
    await clock.untilPending(30_000);
  }
  expect(api.requestsOf("watch").length).toBe(1);
  api.cluster.compact();
  api.breakWatches("end");
  await untilWatching(bundle, 2);
  api.cluster.create(WIDGETS, widget("a"));
  await untilHeard(bundle, "added a");
  expect(api.requestsOf("list").length).toBe(1);
});

test("a server that repeats old events after a reconnect neither revives nor ages an object", async () => {
  const bundle = await setup();
  const { api, reflector, heard } = bundle;
  api.cluster.create(WIDGETS, widget("a"));
  reflector.start();
  await untilWatching(bundle);
  api.cluster.create(WIDGETS, widget("b", { spec: { size: 1 } }));
  api.cluster.replace(WIDGETS, widget("b", { spec: { size: 2 } }));
  api.cluster.delete(WIDGETS, A);
  await untilHeard(bundle, "deleted a");
  api.faults.inject({ kind: "replay", count: 10 }, WATCH);
  api.breakWatches("end");
  await untilWatching(bundle, 2);
  api.cluster.create(WIDGETS, widget("c"));
  await untilHeard(bundle, "added c");
  expect(heard).toEqual(["added a", "added b", "updated b", "deleted a", "added c"]);
  expect(reflector.store.get("default/b")?.spec).toEqual({ size: 2 });
});

test("a server that went back in time, as after a restore, is listed anew", async () => {
  const bundle = await setup();
  const { api, reflector } = bundle;
  api.cluster.create(WIDGETS, widget("a"));
  reflector.start();
  await untilWatching(bundle);
  api.cluster.rewind(500);
  api.sendBookmarks();
  await api.bell.until(() => api.requestsOf("list").length === 2);
  await untilWatching(bundle, 2);
  api.cluster.create(WIDGETS, widget("b"));
  await untilHeard(bundle, "added b");
  expect(reflector.state.lastError).toBeInstanceOf(KubeProtocolError);
});

test("an object that was made anew under its name while nobody watched is told as deleted and added", async () => {
  const bundle = await setup();
  const { api, reflector, heard } = bundle;
  api.cluster.create(WIDGETS, widget("a"));
  reflector.start();
  await untilWatching(bundle);
  api.breakWatches("silence");
  api.cluster.delete(WIDGETS, A);
  api.cluster.create(WIDGETS, widget("a"));
  api.cluster.compact();
  api.breakWatches("reset");
  await untilHeard(bundle, "deleted a");
  await untilWatching(bundle, 2);
  expect(heard).toEqual(["added a", "deleted a", "added a"]);
});

test("a selection is followed as such: an object that leaves it is gone", async () => {
  const bundle = await setup({ selection: { namespace: "default", labelSelector: "tier=x" } });
  const { api, reflector, heard } = bundle;
  api.cluster.create(WIDGETS, widget("a", { labels: { tier: "x" } }));
  api.cluster.create(WIDGETS, widget("b", { labels: { tier: "y" } }));
  reflector.start();
  await untilWatching(bundle);
  api.cluster.replace(WIDGETS, widget("a", { labels: { tier: "z" } }));
  api.cluster.replace(WIDGETS, widget("b", { labels: { tier: "x" } }));
  await untilHeard(bundle, "deleted a", "added b");
  expect(heard).toEqual(["added a", "deleted a", "added b"]);
});

test("objects are found by index, as they are now", async () => {
  const bundle = await setup({ indexes: { color: ({ spec }) => (spec?.color ? [spec.color] : []) } });
  const { api, reflector } = bundle;
  api.cluster.create(WIDGETS, widget("a", { spec: { color: "red" } }));
  reflector.start();
  await untilWatching(bundle);
  expect(reflector.store.find("color", "red").map((one) => one.metadata?.name)).toEqual(["a"]);
  api.cluster.replace(WIDGETS, widget("a", { spec: { color: "blue" } }));
  await untilHeard(bundle, "updated a");
  expect(reflector.store.find("color", "red")).toEqual([]);
});

test("of a type in metadata alone, the store holds no more", async () => {
  const { api, client, logged } = await setup();
  const reflector = new Reflector({ client, type: metadataOf(WIDGETS), log: () => {} });
  onTestFinished(() => reflector.stop());
  const heard: string[] = [];
  reflector.onChange(({ type, key }) => {
    heard.push(`${type} ${key}`);
    api.bell.ring();
  });
  api.cluster.create(WIDGETS, widget("a", { spec: { size: 1 } }));
  reflector.start();
  await reflector.whenSynced();
  api.cluster.create(WIDGETS, widget("b", { spec: { size: 1 } }));
  await api.bell.until(() => heard.length === 2);
  expect(reflector.store.list().filter((object) => "spec" in object)).toEqual([]);
  expect(logged).toEqual([]);
});

test("credentials that fail for a while end nothing", async () => {
  const { api } = await setup();
  const kubeConfig = api.kubeConfig();
  kubeConfig.users = [{ name: "u", authProvider: { name: "failing" } }];
  kubeConfig.contexts = [{ name: "loaded-context", cluster: "mock", user: "u" }];
  let askedCount = 0;
  kubeConfig.addAuthenticator({
    isAuthProvider: () => true,
    applyAuthentication: async () => {
      if (++askedCount % 2 === 1) throw new Error("the command failed");
    },
  });
  const client = new KubeClient({ kubeConfig, attemptMax: 1 });
  const { entries, log } = recordLog();
  const reflector = new Reflector({ client, type: WIDGETS, log, backoff: { firstMs: 1, maxMs: 2 } });
  onTestFinished(async () => {
    await reflector.stop();
    await client.close();
  });
  reflector.start();
  await api.bell.until(() => api.watchCount === 1);
  expect(entries.map(({ fields }) => fields["code"])).toEqual(["KUBE_CREDENTIALS", "KUBE_CREDENTIALS"]);
});

test("the state tells how long the server has been silent and since when the store is complete", async () => {
  const clock = new ManualClock();
  const bundle = await setup({ clock, idleMs: 1_000_000 });
  const { api, reflector } = bundle;
  expect(reflector.state).toMatchObject({ synced: false, silentMs: Infinity, sinceListMs: Infinity });
  reflector.start();
  await untilWatching(bundle);
  await clock.untilPending(1_000_000);
  clock.advance(60_000);
  expect(reflector.state).toMatchObject({
    synced: true,
    silentMs: 60_000,
    sinceListMs: 60_000,
    listCount: 1,
    watchCount: 1,
    failureCount: 0,
  });
  api.cluster.create(WIDGETS, widget("a"));
  await untilHeard(bundle, "added a");
  expect(reflector.state).toMatchObject({ silentMs: 0, sinceListMs: 60_000 });
});

test("a reflector that is stopped asks nothing more", async () => {
  const bundle = await setup();
  const { api, reflector } = bundle;
  reflector.start();
  await untilWatching(bundle);
  await reflector.stop();
  await api.bell.until(() => api.watchCount === 0);
  const requestCount = api.requests.length;
  reflector.start();
  await reflector.stop();
  expect(api.requests.length).toBe(requestCount);
});
