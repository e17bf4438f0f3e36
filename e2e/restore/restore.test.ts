/**
 * What a point-in-time restore does to runs: docs/backup.md says it, this holds it.
 *
 * A base backup is taken while runs begin; then a moment is named, and runs go on, are signaled, and are started; then the server is
 * lost. The restored one knows what was recorded up to the moment. What came after has not happened, though the outside
 * world has seen it.
 */
import { EngineWorker, forgetProvisioned, resolveConnection } from "@memflow/engine";
import type { Invoke } from "@memflow/engine";
import { checkStore, eventually, uniqueName } from "@memflow/engine/testing";
import { Client, MemFlow } from "@memflow/sdk";
import type { WorkflowHandle } from "@memflow/sdk";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { ArchivedPostgres, query } from "./archived-postgres.ts";

const QUEUE = "restore";
const MOMENT = "before_the_mistake";
const RUNS_BEFORE_BACKUP = 20;
const RUNS_DURING_BACKUP = 20;
/** Of those before, so many go on after the moment. */
const RUNS_GONE_ON = 10;
const TIMEOUT_MS = 120_000;

/** How often each step was carried out: the world outside, which no restore takes back. */
const carriedOut = new Map<string, number>();
const opened = Promise.withResolvers<void>();

async function note(name: string): Promise<string> {
  carriedOut.set(name, (carriedOut.get(name) ?? 0) + 1);
  if (name.endsWith("under way")) await opened.promise;
  return name;
}

const { step } = MemFlow.workflow.proxyActivities({ activities: { step: note } });
const { stepOnce } = MemFlow.workflow.proxyActivities({
  activities: { stepOnce: note },
  retryPolicy: { maximumAttempts: 1 },
});

async function counting(name: string): Promise<string> {
  await step(`${name}: first`);
  await MemFlow.workflow.waitFor("go");
  await step(`${name}: second`);
  await MemFlow.workflow.waitFor("end");
  return `${name} is done`;
}

async function working(): Promise<string> {
  return await step("work under way");
}

async function paying(): Promise<string> {
  return await stepOnce("payment under way");
}

const WORKFLOWS: ReadonlyMap<string, Invoke> = new Map<string, Invoke>([
  ["counting", (_context, [name]) => counting(name as string)],
  ["working", () => working()],
  ["paying", () => paying()],
]);

/** One database with a worker and a client. */
interface Site {
  readonly client: Client;
  /** Runs that wait for the signal. */
  waiting(signalId: string): Promise<number>;
  end(): Promise<void>;
}

async function openSite(url: string, schema: string): Promise<Site> {
  const engine = await EngineWorker.start({
    source: resolveConnection(url),
    schema,
    // It says at length that the first database is away, as it should.
    log: () => undefined,
    onFatal: (error) => expect.fail(String(error)),
  });
  await engine.serve(QUEUE, WORKFLOWS);
  const client = new Client({
    connection: { class: pg.Client, options: { connectionString: url } },
    namespace: schema,
  });
  const waiting = async (signalId: string): Promise<number> => {
    const text = `select count(*)::integer as count from ${schema}.waits where signal_id = '${signalId}'`;
    const [row] = await query<{ count: number }>(url, text);
    return row?.count ?? 0;
  };
  return { client, waiting, end: () => engine.shutdown({ graceMs: 0 }) };
}

const start = (client: Client, workflowName: string, name: string): Promise<WorkflowHandle> =>
  client.workflow.start({ taskQueue: QUEUE, workflowName, workflowId: name, args: [name] });

const startAll = (client: Client, names: readonly string[]): Promise<WorkflowHandle[]> =>
  Promise.all(names.map((name) => start(client, "counting", name)));

const namesOf = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_value, number) => `${prefix} ${number}`);

/** How often steps of this kind were carried out, for each run that had one. */
const timesOf = (kind: string, names: readonly string[]): (number | undefined)[] =>
  names.map((name) => carriedOut.get(`${name}: ${kind}`));

test(
  "after a restore to a point in time, what was recorded before it stands, and what came after happens again",
  async () => {
    const database = await ArchivedPostgres.start();
    const schema = uniqueName();
    const sites: Site[] = [];
    onTestFinished(async () => {
      opened.resolve();
      await Promise.all(sites.map((site) => site.end()));
      await MemFlow.shutdown({ graceMs: 0 });
      await database.remove();
      forgetProvisioned();
    });
    const first = await openSite(database.url, schema);
    sites.push(first);
    const before = namesOf("before", RUNS_BEFORE_BACKUP);
    const during = namesOf("during", RUNS_DURING_BACKUP);
    const all = [...before, ...during];

    // Backup, while runs begin.
    await startAll(first.client, before);
    const backup = await database.takeBaseBackup(async () => {
      await startAll(first.client, during.slice(0, RUNS_DURING_BACKUP / 2));
    });
    await startAll(first.client, during.slice(RUNS_DURING_BACKUP / 2));
    await start(first.client, "working", "unfinished");
    await start(first.client, "paying", "payment");
    await eventually("all wait", async () => (await first.waiting("go")) === all.length);
    await eventually("two steps are under way and known to be", () => isUnderWay(database.url, schema));
    await database.nameMoment(MOMENT);

    // After the moment: signals are taken, runs go on, one is started and one ends.
    const goneOn = before.slice(0, RUNS_GONE_ON);
    await Promise.all(goneOn.map((name) => first.client.workflow.getHandle(name)).map(signalGo));
    await eventually("some have gone on", async () => (await first.waiting("end")) === RUNS_GONE_ON);
    await start(first.client, "counting", "too late");
    await eventually("it waits", async () => (await first.waiting("go")) === all.length - RUNS_GONE_ON + 1);
    opened.resolve();
    expect(await (await first.client.workflow.getHandle("unfinished")).result()).toBe("work under way");
    expect(await (await first.client.workflow.getHandle("payment")).result()).toBe("payment under way");

    await database.lose();
    await first.end();
    const url = await database.restore(backup, MOMENT);
    const second = await openSite(url, schema);
    sites.push(second);

    // A signal that was acknowledged after the moment was never sent.
    await eventually("all wait again", async () => (await second.waiting("go")) === all.length);
    // So was a start: the id is free.
    await expect(
      second.client.workflow.getHandle("too late").then((late) => late.result()),
    ).rejects.toMatchObject({
      code: "WORKFLOW_NOT_FOUND",
    });
    await start(second.client, "counting", "too late");
    // A step that was under way at the moment is done again; one that may be tried only once fails instead.
    const unfinished = await second.client.workflow.getHandle("unfinished");
    expect(await unfinished.result()).toBe("work under way");
    expect(carriedOut.get("work under way")).toBe(2);
    const payment = await second.client.workflow.getHandle("payment");
    await expect(payment.result()).rejects.toMatchObject({ code: "ATTEMPT_LOST" });
    expect(carriedOut.get("payment under way")).toBe(1);

    // The runs go on to their ends.
    const handles = await Promise.all(
      [...all, "too late"].map((name) => second.client.workflow.getHandle(name)),
    );
    await Promise.all(handles.map(signalGo));
    await Promise.all(handles.map((handle) => handle.signal("end", {})));
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(
      [...all, "too late"].map((name) => `${name} is done`),
    );

    // What was recorded before the moment was not repeated; what was done after it was.
    expect(new Set(timesOf("first", all))).toEqual(new Set([1]));
    expect(new Set(timesOf("second", goneOn))).toEqual(new Set([2]));
    expect(new Set(timesOf("second", all.slice(RUNS_GONE_ON)))).toEqual(new Set([1]));
    expect(timesOf("first", ["too late"])).toEqual([2]);
    const place = { source: resolveConnection(url), schema };
    expect(await checkStore(place, { workflows: WORKFLOWS })).toEqual([]);
  },
  TIMEOUT_MS,
);

const signalGo = async (handle: WorkflowHandle | Promise<WorkflowHandle>): Promise<void> =>
  (await handle).signal("go", {});

/** A step that outlives half a second has its row; one that may be tried only once has it from its start. */
async function isUnderWay(url: string, schema: string): Promise<boolean> {
  const text = `select count(*)::integer as count from ${schema}.activities`;
  const [row] = await query<{ count: number }>(url, text);
  return row?.count === 2;
}
