import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
import { EventEmitter, on, once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterEach, expect, test, vi } from "vitest";
import type { HeartbeatProcessOptions } from "../../testing/heartbeat-process.ts";
import { startTcpProxy } from "../../testing/tcp-proxy.ts";
import { testDatabaseUrl, testDatabaseUrlWith, uniqueName } from "../../testing/test-database.ts";
import { startHeartbeat } from "./heartbeat.ts";
import type { Beat, BlockedLoop, CodeOwner, HeartbeatOptions, MissedBeat } from "./heartbeat.ts";

const WORKER_ID = "worker a";
const OWNER: CodeOwner = { kind: "activity", id: "0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", position: 12 };
const LONG_MS = 600_000;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Until it no longer throws; nobody announces what happens in the database. */
function eventually(attempt: () => unknown): Promise<unknown> {
  return vi.waitFor(attempt, { timeout: 20_000, interval: 10 });
}

/** A schema with a row of this worker, and the statements of a heartbeat on it. */
async function setup() {
  const client = new pg.Client(testDatabaseUrl());
  await client.connect();
  cleanups.push(() => client.end());
  const schema = uniqueName();
  await client.query(`create schema ${schema}`);
  cleanups.push(() => client.query(`drop schema ${schema} cascade`));
  await client.query(`
    create table ${schema}.workers (worker_id text, beats integer not null, turn_ms bigint, alive boolean, pid integer);
    create table ${schema}.blames (worker_id text, kind text, id uuid, position integer);
    insert into ${schema}.workers values ('${WORKER_ID}', 0, null, true, null)`);
  const beatSql = `
    update ${schema}.workers set beats = beats + 1, turn_ms = $2, pid = pg_backend_pid() where worker_id = $1
    returning alive, extract(epoch from clock_timestamp()) * 1000 as database_ms`;
  const blameSql = `insert into ${schema}.blames values ($1, $2, $3, $4)`;
  const read = async (): Promise<{ beats: number; turn_ms: string; pid: number }> =>
    (await client.query(`select * from ${schema}.workers`)).rows[0];
  return {
    client,
    schema,
    sql: { workerId: WORKER_ID, beatSql, blameSql },
    read,
    beatsBeyond: (count: number) =>
      eventually(async () => {
        const { beats } = await read();
        if (beats <= count) throw new Error(`only ${beats} beats`);
      }),
    blames: async () => (await client.query(`select * from ${schema}.blames`)).rows as unknown[],
  };
}

/** A heartbeat in this process and what it says, as events `beat`, `miss`, `blocked` and `failure`. */
function start(
  options: Pick<HeartbeatOptions, "beatSql" | "blameSql" | "workerId"> & Partial<HeartbeatOptions>,
) {
  const said = new EventEmitter();
  const heartbeat = startHeartbeat({
    connection: { connectionString: testDatabaseUrl() },
    beatMs: 20,
    reportMs: LONG_MS,
    killMs: LONG_MS,
    whose: () => undefined,
    onBeat: (beat) => said.emit("beat", beat),
    onMiss: (miss) => said.emit("miss", miss),
    onBlocked: (blocked) => said.emit("blocked", blocked),
    onFailure: (error) => said.emit("failure", error),
    ...options,
  });
  cleanups.push(() => heartbeat.stop());
  const next = async <Value>(event: string): Promise<Value> => ((await once(said, event)) as [Value])[0];
  return { heartbeat, said, next };
}

/** A process that a test may block, its lines, and its end. */
function startProcess(
  options: Omit<HeartbeatProcessOptions, "connection" | "owner"> & Partial<HeartbeatProcessOptions>,
  execArgv: readonly string[] = [],
) {
  const file = new URL("../../testing/heartbeat-process.ts", import.meta.url).pathname;
  const full = { connection: { connectionString: testDatabaseUrl() }, owner: OWNER, ...options };
  const child = spawn(process.execPath, [...execArgv, file, JSON.stringify(full)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  cleanups.push(() => child.kill("SIGKILL"));
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (output.stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (output.stderr += String(chunk)));
  const printed = async (line: string): Promise<void> => {
    if (output.stdout.includes(line)) return;
    for await (const _ of on(child.stdout, "data", { close: ["end"] }))
      if (output.stdout.includes(line)) return;
    throw new Error(`the process ended without printing "${line}": ${output.stderr}`);
  };
  return { output, printed, closed: once(child, "close") };
}

test("it beats, tells whether the worker lives, and measures the database's clock", async () => {
  const { client, schema, sql, beatsBeyond, read } = await setup();
  const { next } = start(sql);
  const beat = await next<Beat>("beat");
  expect(beat.alive).toBe(true);
  await beatsBeyond(3);
  expect(Number((await read()).turn_ms)).toBeGreaterThanOrEqual(0);
  // Both clocks are this machine's.
  expect(Math.abs(beat.offsetMs)).toBeLessThan(60_000);
  expect(beat.roundTripMs).toBeGreaterThan(0);
  await client.query(`update ${schema}.workers set alive = false`);
  await eventually(async () => expect((await next<Beat>("beat")).alive).toBe(false));
  await client.query(`delete from ${schema}.workers`);
  await eventually(async () => expect((await next<Beat>("beat")).alive).toBe(false));
});

test("its callbacks are called outside the run in which it was started", async () => {
  const { sql } = await setup();
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  storage.run("run 7", () => start({ ...sql, onBeat: () => seen.push(storage.getStore()) }));
  await eventually(() => expect(seen).not.toEqual([]));
  expect(new Set(seen)).toEqual(new Set([undefined]));
});

test("a stopped heartbeat beats no more and its connection is gone", async () => {
  const { client, sql, read } = await setup();
  const { heartbeat, next, said } = start(sql);
  await next("beat");
  const { pid } = await read();
  await heartbeat.stop();
  said.on("failure", () => expect.unreachable("a stop is no failure"));
  await eventually(async () => {
    const { rowCount } = await client.query("select from pg_stat_activity where pid = $1", [pid]);
    expect(rowCount).toBe(0);
  });
  const { beats } = await read();
  await heartbeat.stop();
  expect((await read()).beats).toBe(beats);
});

test("it holds no process open", async () => {
  const { sql } = await setup();
  const { closed, output } = startProcess({ ...sql, block: "not" });
  expect(await closed).toEqual([0, null]);
  expect(output).toEqual({ stdout: "", stderr: "" });
});

test("a loop that computes for less than the limit misses no beat, and is reported with its owner", async () => {
  const { sql, read, beatsBeyond } = await setup();
  const folder = mkdtempSync(join(tmpdir(), "memflow-heartbeat-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "go-on");
  const limits = { beatMs: 20, reportMs: 200, killMs: LONG_MS };
  const { printed, closed, output } = startProcess({ ...sql, ...limits, block: "until-file", file });
  await printed("blocking");
  const { beats } = await read();
  await beatsBeyond(beats + 10);
  await eventually(async () => expect(Number((await read()).turn_ms)).toBeGreaterThan(limits.reportMs));
  expect(output.stdout).toBe("blocking\n");
  writeFileSync(file, "");
  expect(await closed).toEqual([0, null]);
  expect(output.stdout).toBe(`blocking\nfree\nblocked ${JSON.stringify(OWNER)}\n`);
});

test("while (true) is blamed on its owner alone and the process dies", async () => {
  const { sql, blames } = await setup();
  const { closed, output } = startProcess({
    ...sql,
    beatMs: 20,
    reportMs: 100,
    killMs: 400,
    block: "for-ever",
  });
  expect(await closed).toEqual([null, "SIGKILL"]);
  expect(await blames()).toEqual([
    { worker_id: WORKER_ID, kind: OWNER.kind, id: OWNER.id, position: OWNER.position },
  ]);
  expect(output.stderr).toContain(
    `activity ${OWNER.position} of run "${OWNER.id}" has blocked the main loop`,
  );
  expect(output.stderr).toContain(`"${WORKER_ID}"`);
  expect(output.stderr).toContain("recorded against it");
  expect(output.stderr).toContain("heartbeat-process.ts:");
});

test("a blocked process dies also when the database cannot be reached", async () => {
  const { sql } = await setup();
  const connection = { host: "127.0.0.1", port: 1, user: "nobody", database: "none" };
  const limits = { beatMs: 20, reportMs: 100, killMs: 400 };
  const { closed, output } = startProcess({ ...sql, ...limits, connection, block: "for-ever" });
  expect(await closed).toEqual([null, "SIGKILL"]);
  expect(output.stderr).toContain("not recorded: ");
  expect(output.stderr).toContain("ECONNREFUSED");
});

test("a loop that nobody answers for ends the process without blame", async () => {
  const { sql, blames } = await setup();
  const limits = { beatMs: 20, reportMs: 100, killMs: 400 };
  const owner = null as unknown as CodeOwner;
  const { closed, output } = startProcess({ ...sql, ...limits, owner, block: "for-ever" });
  expect(await closed).toEqual([null, "SIGKILL"]);
  expect(await blames()).toEqual([]);
  expect(output.stderr).toContain("code of no known run has blocked");
});

test("it goes on after its connection was cut", async () => {
  const { client, sql, read, beatsBeyond } = await setup();
  const { next } = start(sql);
  await next("beat");
  const before = await read();
  await client.query("select pg_terminate_backend($1)", [before.pid]);
  await eventually(async () => expect((await read()).pid).not.toBe(before.pid));
  await beatsBeyond((await read()).beats);
});

test("a silent connection is given up and a new one beats", async () => {
  const { sql, beatsBeyond, read } = await setup();
  const { hostname, port } = new URL(testDatabaseUrl());
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  cleanups.push(() => proxy.close());
  const connection = { connectionString: testDatabaseUrlWith({ host: `127.0.0.1:${proxy.port}` }) };
  const { next } = start({ ...sql, connection });
  await next("beat");
  proxy.freeze();
  const miss = await next<MissedBeat>("miss");
  expect(miss.message).toContain("no answer within");
  expect(miss.silentMs).toBeGreaterThan(0);
  await beatsBeyond((await read()).beats);
});

test("a beat that the database refuses is missed, and the next one is tried", async () => {
  const { client, schema, sql } = await setup();
  await client.query(`alter table ${schema}.workers rename to not_yet`);
  const { next } = start(sql);
  expect((await next<MissedBeat>("miss")).message).toContain("does not exist");
  await client.query(`alter table ${schema}.not_yet rename to workers`);
  expect((await next<Beat>("beat")).alive).toBe(true);
});

test("a password function is asked for each connection, on the main thread", async () => {
  const { client, sql, read } = await setup();
  let askCount = 0;
  const password = async (): Promise<string> => {
    askCount += 1;
    if (askCount === 1) throw new Error("the vault is sealed");
    return new URL(testDatabaseUrl()).password;
  };
  const { next } = start({ ...sql, connection: { connectionString: testDatabaseUrl(), password } });
  expect((await next<MissedBeat>("miss")).message).toContain("the vault is sealed");
  await next("beat");
  expect(askCount).toBe(2);
  const { pid } = await read();
  await client.query("select pg_terminate_backend($1)", [pid]);
  await eventually(() => expect(askCount).toBe(3));
});

test("a blocked loop of this process is reported with the code that an await led to", async () => {
  const { sql } = await setup();
  const storage = new AsyncLocalStorage<CodeOwner>();
  let asked = false;
  const { next } = start({
    ...sql,
    reportMs: 100,
    whose: () => {
      asked = true;
      return storage.getStore();
    },
  });
  await next("beat");
  const report = next<BlockedLoop>("blocked");
  await storage.run(OWNER, async () => {
    await delay(1);
    spinUntil(() => asked);
  });
  const { owner, blockedMs, stack } = await report;
  expect(owner).toEqual(OWNER);
  expect(blockedMs).toBeGreaterThan(100);
  expect(stack).toContain("spinUntil");
});

function spinUntil(condition: () => boolean): void {
  while (!condition()) {
    // The blockage is the point.
  }
}

test("without an answer by async context the owner that was entered is reported", async () => {
  const { sql } = await setup();
  let asked = false;
  const whose = (): undefined => {
    asked = true;
  };
  const { heartbeat, next } = start({ ...sql, reportMs: 100, whose });
  await next("beat");
  const report = next<BlockedLoop>("blocked");
  await delay(1);
  heartbeat.enter(OWNER.kind, OWNER.id, OWNER.position);
  spinUntil(() => asked);
  heartbeat.leave();
  heartbeat.touch();
  expect((await report).owner).toEqual(OWNER);
});

test("a thread that ends by itself is a failure", async () => {
  const { sql } = await setup();
  const preload = "import { isMainThread } from 'node:worker_threads'; if (!isMainThread) process.exit(3);";
  const execArgv = ["--import", `data:text/javascript,${encodeURIComponent(preload)}`];
  const { printed, output } = startProcess({ ...sql, block: "not" }, execArgv);
  await printed("failure");
  expect(output.stdout).toBe("failure the heartbeat thread has ended with exit code 3\n");
});

test("it runs in a process whose program came from the command line", async () => {
  const { sql } = await setup();
  const module = JSON.stringify(new URL("heartbeat.ts", import.meta.url).href);
  const options = JSON.stringify({ ...sql, connection: { connectionString: testDatabaseUrl() } });
  const script = `
    import { startHeartbeat } from ${module};
    const hold = setInterval(() => {}, 60_000);
    const end = (outcome) => { console.log(outcome); clearInterval(hold); };
    startHeartbeat({
      ...${options},
      whose: () => undefined,
      onBeat: ({ alive }) => end(alive),
      onMiss: ({ message }) => end(message),
      onBlocked: () => undefined,
      onFailure: (error) => end(error.message),
    });`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
  let stdout = "";
  child.stdout.on("data", (chunk) => (stdout += String(chunk)));
  expect(await once(child, "close")).toEqual([0, null]);
  expect(stdout).toBe("true\n");
});
