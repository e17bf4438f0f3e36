/** `memflow dev` as its users meet it: one command, killed and started again, twice at once, with bad input. */
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import pg from "pg";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DevProcess, LEDGER_APP, readLedger, survivorsOf } from "./testing/dev-process.ts";
import type { DevPlace } from "./testing/dev-process.ts";

/** Each test starts several processes and databases; a busy machine takes its time. */
vi.setConfig({ testTimeout: 180_000 });

const SLOW = JSON.stringify({ stepCount: 8, paceMs: 150 });
const TAKEN = [1, 2, 3, 4, 5, 6, 7, 8];

let folder = "";
let place: DevPlace = { dataDir: "", ledgerFile: "" };
const started: DevProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "memflow-dev-"));
  if (process.geteuid?.() === 0) await chmod(folder, 0o711);
  place = { dataDir: path.join(folder, "data"), ledgerFile: path.join(folder, "ledger") };
});

afterEach(async () => {
  for (const dev of started.splice(0)) {
    await dev.killTree().catch(() => undefined);
  }
  await rm(folder, { recursive: true, force: true });
});

function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): DevProcess {
  const dev = new DevProcess(place, args, environment);
  started.push(dev);
  return dev;
}

/** The id of the run that an output announces. */
function runIdIn(output: string): string {
  return /run +(dev-\S+) /u.exec(output)?.[1] ?? "";
}

test("one command prints the run's result, exits with 0 and leaves nothing running", async () => {
  const dev = start(["--once"]);
  await dev.untilPrinted(/run +dev-steps-[0-9a-f]{8} \(started\)/u);
  const tree = await dev.tree();
  expect(tree.length).toBeGreaterThanOrEqual(3);
  expect(await dev.end()).toBe(0);
  expect(dev.output).toMatch(/takeSteps +activity takeStep/u);
  expect(dev.output).toContain("taken: 1, 2, 3, 4, 5");
  expect(dev.output).toContain("How to go on");
  expect(await survivorsOf(tree)).toEqual([]);
});

test("after a kill of the whole process tree the same run finishes, and no recorded step is taken twice", async () => {
  const killed = start(["--once", "--input", SLOW]);
  await killed.untilPrinted(/(activity takeStep[^]*){3}/u);
  const standing = killed.output.split("activity takeStep").length - 1;
  await killed.killTree();
  const dev = start(["--once"]);
  expect(await dev.end()).toBe(0);
  expect(dev.output).toContain(`run       ${runIdIn(killed.output)} (continued)`);
  expect(dev.output).toContain(`taken: ${TAKEN.join(", ")}`);
  // The step that was under way may stand in the ledger twice; none whose outcome was recorded does.
  const ledger = await readLedger(place);
  expect(new Set(ledger)).toEqual(new Set(TAKEN));
  for (const step of TAKEN.slice(0, standing)) expect(ledger.filter((line) => line === step)).toEqual([step]);
});

test("when only the command itself is killed, its workers end and its Postgres is adopted", async () => {
  const killed = start(["--once", "--input", SLOW]);
  await killed.untilPrinted(/(activity takeStep[^]*){2}/u);
  const orphans = (await killed.tree()).slice(1);
  killed.signal("SIGKILL");
  await killed.end();
  const dev = start(["--once"]);
  expect(await dev.end()).toBe(0);
  expect(dev.output).toContain(`${runIdIn(killed.output)} (continued)`);
  expect(dev.output).toContain(`taken: ${TAKEN.join(", ")}`);
  expect(await survivorsOf(orphans)).toEqual([]);
});

test("Ctrl-C stops everything in order, keeps the data and says how to resume", async () => {
  const stopped = start(["--once", "--input", SLOW]);
  await stopped.untilPrinted(/(activity takeStep[^]*){2}/u);
  const tree = await stopped.tree();
  stopped.signal("SIGINT");
  expect(await stopped.end()).toBe(130);
  expect(stopped.output).toMatch(/stopped; the data is kept\. To resume: memflow dev -f \S+ /u);
  expect(await survivorsOf(tree)).toEqual([]);
  const dev = start(["--once"]);
  expect(await dev.end()).toBe(0);
  expect(dev.output).toContain(`${runIdIn(stopped.output)} (continued)`);
  expect(await readLedger(place)).toEqual(TAKEN);
});

test("a second start while one runs says so and shows the same run", async () => {
  const host = start(["--input", JSON.stringify({ stepCount: 40, paceMs: 250 })]);
  await host.untilPrinted(/activity takeStep/u);
  const guest = start(["--once"]);
  expect(await guest.end()).toBe(0);
  expect(guest.output).toContain("memflow dev is running already");
  expect(guest.output).toContain(`${runIdIn(host.output)} (continued)`);
  expect(guest.output).toContain("taken: 1, 2, 3, 4, 5");
  await host.untilPrinted(/the workers go on/u);
  host.signal("SIGINT");
  expect(await host.end()).toBe(0);
});

test("a worker and a Postgres that are killed are replaced, and the run goes on", async () => {
  const dev = start(["--once", "--input", SLOW]);
  await dev.untilPrinted(/activity takeStep/u);
  const [, ...children] = await dev.tree();
  for (const { pid } of children) process.kill(pid, "SIGKILL");
  await dev.untilPrinted(/worker ledger-1 was ended by SIGKILL; starting it again/u);
  expect(await dev.end()).toBe(0);
  expect(dev.output).toContain("the embedded Postgres went away; starting it again");
  expect(dev.output).toContain(`taken: ${TAKEN.join(", ")}`);
});

test("a run that fails gives exit code 10 and its reason", async () => {
  const dev = start(["--once", "--workflow", "failing"]);
  expect(await dev.end()).toBe(10);
  expect(dev.output).toContain("the run failed: this workflow always fails");
});

test("a workflow that the code does not export is refused with what it exports", async () => {
  const dev = start(["--once", "--workflow", "unwritten"]);
  expect(await dev.end()).toBe(2);
  expect(dev.output).toMatch(
    /workflow "unwritten" is not exported by ".*ledger-app"; it exports: fail, takeSteps/u,
  );
});

test("bad input is refused before anything is started", async () => {
  const refusals: readonly (readonly [readonly string[], RegExp])[] = [
    [["-f", path.join(folder, "nowhere")], /"\S+nowhere" can't be read: ENOENT/u],
    [["-f", folder], /no manifest/u],
    [
      ["--workflow", "missing"],
      /workflow "missing" is not declared; the manifests declare: takeSteps, fail, unwritten/u,
    ],
    [["--input", "{"], /--input is no JSON/u],
    [["--speed", "fast"], /unknown option '--speed'/u],
  ];
  for (const [args, message] of refusals) {
    const dev = start(args);
    expect(await dev.end()).toBe(2);
    expect(dev.output).toMatch(message);
  }
  const manifest = await readFile(path.join(LEDGER_APP, "memflow.yaml"), "utf8");
  await writeFile(path.join(folder, "bad.yaml"), manifest.replace("minReplicas: 1", "minReplicas: -1"));
  const bad = start(["-f", folder]);
  expect(await bad.end()).toBe(2);
  expect(bad.output).toContain("bad.yaml:23: spec.scaling.minReplicas: got -1, must be >= 0");
});

test("code that can't be loaded is refused with its file", async () => {
  const manifest = await readFile(path.join(LEDGER_APP, "memflow.yaml"), "utf8");
  await writeFile(path.join(folder, "memflow.yaml"), manifest);
  await writeFile(path.join(folder, "workflows.ts"), "export const broken: = 1;");
  const dev = start(["--once", "-f", folder]);
  expect(await dev.end()).toBe(2);
  expect(dev.output).toContain(`module "${path.join(folder, "workflows.ts")}" can't be imported`);
});

test("--fresh forgets the runs of before", async () => {
  const before = start(["--once", "--input", SLOW]);
  await before.untilPrinted(/activity takeStep/u);
  await before.killTree();
  const dev = start(["--once", "--fresh"]);
  expect(await dev.end()).toBe(0);
  expect(dev.output).toMatch(/run +dev-steps-[0-9a-f]{8} \(started\)/u);
});

test("DATABASE_URL is used in place of the embedded Postgres", async () => {
  const url = process.env["MEMFLOW_TEST_DATABASE_URL"] ?? "";
  try {
    const dev = start(["--once"], { DATABASE_URL: url });
    expect(await dev.end()).toBe(0);
    expect(dev.output).toContain("taken: 1, 2, 3, 4, 5");
    expect(dev.output).not.toContain(new URL(url).password);
  } finally {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query("drop schema if exists ledger_app cascade");
    await client.end();
  }
});

test("a database that is not there is named without its password", async () => {
  const dev = start(["--once"], { DATABASE_URL: "postgres://someone:secret@127.0.0.1:1/nowhere" });
  expect(await dev.end()).toBe(1);
  expect(dev.output).toContain("127.0.0.1:1");
  expect(dev.output).not.toContain("secret");
  const malformed = start(["--once"], { DATABASE_URL: "host=127.0.0.1 password=secret" });
  expect(await malformed.end()).toBe(1);
  expect(malformed.output).toContain("DATABASE_URL is no connection string");
  expect(malformed.output).not.toContain("secret");
});
