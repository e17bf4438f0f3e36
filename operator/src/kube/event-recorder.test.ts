/** What users read in Events, and how little of it when something repeats. */
import { expect, onTestFinished, test } from "vitest";
import { recordLog } from "../testing/log-recorder.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { widget, WIDGETS } from "../testing/widgets.ts";
import type { Widget } from "../testing/widgets.ts";
import { EventRecorder } from "./event-recorder.ts";
import type { EventRecorderOptions, Happening } from "./event-recorder.ts";
import { KubeClient } from "./kube-client.ts";
import { EVENTS } from "./resource-type.ts";
import type { KubeEvent } from "./resource-type.ts";

interface Bundle {
  readonly api: MockApiServer;
  readonly clock: ManualClock;
  readonly recorder: EventRecorder;
  readonly log: ReturnType<typeof recordLog>;
  readonly object: Widget;
  happen(rest?: Partial<Happening>): void;
  /** Lets what was recorded be sent, and waits until so many requests came in all. */
  untilSent(requestCount: number): Promise<void>;
  events(): readonly KubeEvent[];
}

async function setup(options: Partial<EventRecorderOptions> = {}): Promise<Bundle> {
  const api = await MockApiServer.start({ types: [WIDGETS] });
  const clock = new ManualClock();
  const client = new KubeClient({ kubeConfig: api.kubeConfig(), clock, attemptMax: 1 });
  const log = recordLog();
  const recorder = new EventRecorder({
    client,
    controller: "memflow.io/operator",
    instance: "operator-0",
    log: log.log,
    ...options,
  });
  onTestFinished(async () => {
    await recorder.stop(0);
    await client.close();
    await api.close();
  });
  const object = api.cluster.create(WIDGETS, widget("a"));
  return {
    api,
    clock,
    recorder,
    log,
    object,
    happen: (rest) =>
      recorder.record({
        regarding: object,
        type: "Normal",
        reason: "ScaledUp",
        action: "Scale",
        note: "from 1 to 3",
        ...rest,
      }),
    untilSent: async (requestCount) => {
      clock.advance(0);
      await api.bell.until(() => api.requests.length >= requestCount);
    },
    events: () => api.cluster.list(EVENTS),
  };
}

test("a happening becomes one Event, about the object, by the controller", async () => {
  const { api, happen, untilSent, events, object } = await setup();
  happen();
  await untilSent(1);
  await api.bell.until(() => events().length === 1);
  expect(events()[0]).toMatchObject({
    metadata: {
      namespace: "default",
      name: expect.stringMatching(/^a\.[0-9a-f]{16}-[0-9a-f]{8}$/u) as string,
    },
    eventTime: "2026-01-01T00:00:00.000000Z",
    type: "Normal",
    reason: "ScaledUp",
    action: "Scale",
    note: "from 1 to 3",
    reportingController: "memflow.io/operator",
    reportingInstance: "operator-0",
    regarding: {
      apiVersion: WIDGETS.apiVersion,
      kind: "Widget",
      namespace: "default",
      name: "a",
      uid: object.metadata?.uid,
    },
  });
  expect(events()[0]).not.toHaveProperty("series");
});

test("what repeats is counted in a series of the same Event, written at most once a minute", async () => {
  const { clock, happen, untilSent, events } = await setup();
  happen();
  await untilSent(1);
  await clock.untilOnlyPending();
  for (let count = 0; count < 9; count++) happen();
  expect(clock.pendingMs).toEqual([60_000]);
  clock.advance(60_000);
  await untilSent(2);
  await clock.untilOnlyPending();
  expect(events()[0]?.series).toEqual({ count: 10, lastObservedTime: "2026-01-01T00:00:00.000000Z" });
  happen();
  clock.advance(60_000);
  await untilSent(3);
  await clock.untilOnlyPending();
  expect(events().map(({ series }) => series?.count)).toEqual([11]);
});

test("another note, reason or object is another Event, and so is the same after a long pause", async () => {
  const { api, clock, happen, untilSent, events } = await setup();
  const other = api.cluster.create(WIDGETS, widget("b"));
  happen();
  happen({ note: "from 3 to 5" });
  happen({ reason: "ScaledDown" });
  happen({ regarding: other });
  await untilSent(4);
  await clock.untilOnlyPending();
  clock.advance(6 * 60_000);
  happen();
  await untilSent(5);
  await api.bell.until(() => events().length === 5);
  expect(events().filter(({ series }) => series !== undefined)).toEqual([]);
});

test("an object that has too much to say is cut short, and gets its voice back with time; others keep theirs", async () => {
  const { api, clock, recorder, happen, untilSent, events, log } = await setup({
    burst: { count: 3, refillMs: 10_000 },
  });
  for (let count = 0; count < 10; count++) happen({ note: `note ${count}` });
  happen({ regarding: api.cluster.create(WIDGETS, widget("b")) });
  await untilSent(4);
  await clock.untilOnlyPending();
  expect(recorder.droppedCount).toBe(7);
  expect(log.entries[0]).toMatchObject({ level: "warn", message: "too many events of one object" });
  clock.advance(10_000);
  happen({ note: "note 10" });
  await untilSent(5);
  await api.bell.until(() => events().length === 5);
});

test("a series whose Event the server forgot begins anew, with its count", async () => {
  const { api, clock, happen, untilSent, events } = await setup();
  happen();
  await untilSent(1);
  await clock.untilOnlyPending();
  api.cluster.delete(EVENTS, { namespace: "default", name: events()[0]?.metadata?.name ?? "" });
  happen();
  clock.advance(60_000);
  await untilSent(3);
  await clock.untilOnlyPending();
  expect(events().map(({ series }) => series?.count)).toEqual([2]);
});

test("an Event whose answer was lost is not made twice", async () => {
  const { api, clock, happen, untilSent, events } = await setup();
  api.faults.inject({ kind: "lose-answer" });
  happen();
  await untilSent(1);
  await clock.untilOnlyPending();
  happen();
  clock.advance(60_000);
  await untilSent(3);
  await clock.untilOnlyPending();
  expect(events().map(({ series }) => series?.count)).toEqual([2]);
});

test("an Event that the server refuses is dropped and logged; the next one is sent", async () => {
  const { api, recorder, happen, untilSent, events, log } = await setup();
  api.faults.inject({ kind: "refuse", status: 403, reason: "Forbidden" });
  happen();
  happen({ note: "another" });
  await untilSent(2);
  await api.bell.until(() => events().length === 1);
  expect(events()[0]?.note).toBe("another");
  expect(recorder.droppedCount).toBe(1);
  expect(log.entries[0]).toMatchObject({
    message: "an event was not sent",
    fields: { code: "KUBE_FORBIDDEN" },
  });
});

test("a stop sends what waits, counts included", async () => {
  const { clock, recorder, happen, untilSent, events } = await setup();
  happen();
  await untilSent(1);
  await clock.untilOnlyPending();
  happen();
  happen();
  happen({ note: "last words" });
  const stopped = recorder.stop(5_000);
  clock.advance(0);
  await stopped;
  expect(new Map(events().map(({ note, series }) => [note, series?.count]))).toEqual(
    new Map([
      ["from 1 to 3", 3],
      ["last words", undefined],
    ]),
  );
  expect(clock.pendingMs).toEqual([]);
});

test("a stop waits no longer than it may", async () => {
  const { api, clock, recorder, happen, untilSent } = await setup();
  api.faults.inject({ kind: "silence" });
  happen();
  await untilSent(1);
  const stopped = recorder.stop(2_000);
  clock.advance(2_000);
  await stopped;
  expect(recorder.droppedCount).toBe(1);
});
