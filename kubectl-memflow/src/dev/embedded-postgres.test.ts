/** The embedded Postgres, started for real: its data, its neighbours, and what is left when everything is killed. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";
import { afterEach, expect, test, vi } from "vitest";
import { EmbeddedPostgresError, startEmbeddedPostgres } from "./embedded-postgres.ts";
import type { EmbeddedPostgres, EmbeddedPostgresOptions } from "./embedded-postgres.ts";
import { locateBinaries } from "./postgres/binaries.ts";
import { resolveCluster, dataFolderAt } from "./postgres/data-folder.ts";
import { isSameProcess, identifyProcess } from "./process-identity.ts";

/** Each test starts several processes and databases; a busy machine takes its time. */
vi.setConfig({ testTimeout: 180_000 });

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "memflow-embedded-"));
  if (process.geteuid?.() === 0) await chmod(folder, 0o711);
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, "postgres");
}

async function start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(options);
  cleanups.push(() => server.stop());
  return server;
}

/** Starts the holding program and reads its line. */
async function hold(
  dataDir: string,
): Promise<{ child: ChildProcess; url: string; pid: number; adopted: boolean }> {
  const program = new URL("testing/hold-embedded-postgres.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, dataDir], { stdio: ["pipe", "pipe", "inherit"] });
  cleanups.push(async () => child.kill("SIGKILL"));
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return { child, ...(JSON.parse(line) as { url: string; pid: number; adopted: boolean }) };
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function refusal(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgresError> {
  const outcome = await startEmbeddedPostgres(options).catch((error: unknown) => error);
  if (!(outcome instanceof EmbeddedPostgresError))
    throw new Error("the start was not refused", { cause: outcome });
  return outcome;
}

async function untilGone(pid: number): Promise<void> {
  const identity = await identifyProcess(pid);
  await expect
    .poll(async () => identity !== undefined && (await isSameProcess(identity)), { timeout: 20_000 })
    .toBe(false);
}

test("data stays from one start to the next, on the same port", async () => {
  const dataDir = await makeFolder();
  const first = await start({ dataDir });
  await query(first.url, "create table kept as select 42 as answer");
  await first.stop();
  const second = await start({ dataDir });
  expect(await query(second.url, "select answer from kept")).toEqual([{ answer: 42 }]);
  expect({ port: second.port, url: second.url }).toEqual({ port: first.port, url: first.url });
});

test("commits are durable and settings reach the server", async () => {
  const server = await start({ dataDir: await makeFolder(), settings: { max_connections: 37 } });
  const rows = await query(
    server.url,
    "select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'max_connections', 'synchronous_commit') order by name",
  );
  expect(rows.map((row) => row["setting"])).toEqual(["on", "on", "37", "on"]);
});

test("only the loopback address answers, and only to the password of the folder", async () => {
  const dataDir = await makeFolder();
  const server = await start({ dataDir });
  const rows = await query(
    server.url,
    "select current_setting('listen_addresses') as l, current_setting('unix_socket_directories') as u",
  );
  expect(rows).toEqual([{ l: "127.0.0.1", u: "" }]);
  const wrong = new URL(server.url);
  wrong.password = "guessed";
  await expect(query(wrong.href, "select 1")).rejects.toMatchObject({ code: "28P01" });
  expect((await stat(path.join(dataDir, "password"))).mode & 0o777).toBe(0o600);
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === "IPv4" && !address.internal);
  if (outside !== undefined) {
    const elsewhere = new URL(server.url);
    elsewhere.hostname = outside.address;
    await expect(query(elsewhere.href, "select 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  }
});

test("a port that is taken gives another port", async () => {
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  cleanups.push(async () => holder.close());
  const { port } = holder.address() as { port: number };
  const server = await start({ dataDir: await makeFolder(), port });
  expect(server.port).not.toBe(port);
  expect(await query(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("a second start names the address of the server that runs", async () => {
  const dataDir = await makeFolder();
  const server = await start({ dataDir });
  const error = await refusal({ dataDir });
  expect(error).toMatchObject({ code: "EMBEDDED_POSTGRES_IN_USE", port: server.port, url: server.url });
  expect(error.message).not.toContain(new URL(server.url).password);
});

test("of four starts at once on a new folder one gets the server and three get its address", async () => {
  const dataDir = await makeFolder();
  const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => startEmbeddedPostgres({ dataDir })));
  const winners = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  for (const winner of winners) cleanups.push(() => winner.stop());
  const losers = outcomes.flatMap((outcome) =>
    outcome.status === "rejected" ? [outcome.reason as unknown] : [],
  );
  expect(winners).toHaveLength(1);
  expect(losers).toHaveLength(3);
  for (const loser of losers) {
    expect(loser).toMatchObject({ code: "EMBEDDED_POSTGRES_IN_USE", url: winners[0]?.url });
  }
});

test("a server whose supervisor was killed is adopted with its data", async () => {
  const dataDir = await makeFolder();
  const orphaned = await hold(dataDir);
  await query(orphaned.url, "create table kept as select 7 as answer");
  await kill(orphaned.child);
  const server = await start({ dataDir });
  expect({ adopted: server.adopted, pid: server.pid }).toEqual({ adopted: true, pid: orphaned.pid });
  expect(await query(server.url, "select answer from kept")).toEqual([{ answer: 7 }]);
  await server.stop();
  await untilGone(orphaned.pid);
});

test("after a kill of the supervisor and the server alike every acknowledged commit is there", async () => {
  const dataDir = await makeFolder();
  const killed = await hold(dataDir);
  await query(killed.url, "create table kept as select 8 as answer");
  process.kill(killed.pid, "SIGKILL");
  await kill(killed.child);
  const server = await start({ dataDir });
  expect(server.adopted).toBe(false);
  expect(await query(server.url, "select answer from kept")).toEqual([{ answer: 8 }]);
});

test("a stale file whose process number another program got by now does not stop the start", async () => {
  const dataDir = await makeFolder();
  const first = await start({ dataDir });
  await first.stop();
  const cluster = await resolveCluster(dataFolderAt(dataDir));
  const staleLines = [process.pid, cluster, 1_700_000_000, first.port, "", "127.0.0.1", "  1 2", "ready   "];
  await writeFile(path.join(cluster ?? "", "postmaster.pid"), `${staleLines.join("\n")}\n`);
  const second = await start({ dataDir });
  expect(second.adopted).toBe(false);
});

test("a supervisor whose connection was cut still counts as the one", async () => {
  const dataDir = await makeFolder();
  const server = await start({ dataDir });
  const cut =
    "select pid, pg_terminate_backend(pid) from pg_stat_activity where application_name = 'memflow:supervisor'";
  const [former] = await query(server.url, cut);
  const held = "select pid from pg_locks where locktype = 'advisory' and granted";
  // The connection that was cut holds its lock until its backend has gone.
  const holders = async (): Promise<unknown[]> => {
    const rows = (await query(server.url, held)) as readonly { readonly pid: number }[];
    return rows.filter(({ pid }) => pid !== (former as { readonly pid: number }).pid);
  };
  await expect.poll(holders, { timeout: 20_000 }).toHaveLength(1);
  await expect(refusal({ dataDir })).resolves.toMatchObject({ code: "EMBEDDED_POSTGRES_IN_USE" });
});

test("a program that ends without stopping takes the server along", async () => {
  const dataDir = await makeFolder();
  const holder = await hold(dataDir);
  holder.child.stdin?.end();
  await expect(untilGone(holder.pid)).resolves.toBeUndefined();
});

test("a folder that lost its password is refused with the remedy", async () => {
  const dataDir = await makeFolder();
  await (await start({ dataDir })).stop();
  await rm(path.join(dataDir, "password"));
  await expect(refusal({ dataDir })).resolves.toMatchObject({ code: "EMBEDDED_POSTGRES_FOREIGN_DATA" });
});

test("a setting that Postgres refuses is reported with its own words", async () => {
  const dataDir = await makeFolder();
  const error = await refusal({ dataDir, settings: { max_connections: "many" } });
  expect(error.code).toBe("EMBEDDED_POSTGRES_FAILED");
  expect(error.message).toContain("max_connections");
  expect(await readFile(path.join(dataDir, "postgres.log"), "utf8")).toContain("max_connections");
});

test("Windows is told about WSL, other platforms about DATABASE_URL", async () => {
  await expect(locateBinaries("win32", "x64")).rejects.toMatchObject({
    code: "EMBEDDED_POSTGRES_UNSUPPORTED",
    message: expect.stringContaining("WSL") as string,
  });
  await expect(locateBinaries("sunos", "x64")).rejects.toMatchObject({
    message: expect.stringContaining("DATABASE_URL") as string,
  });
});
