/**
 * The example as its users run it: `memflow dev`, killed with everything that belongs to it, and started again.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, watch, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const MAIN = path.join(PROJECT, "kubectl-memflow/src/main.ts");
const EXAMPLE = path.join(PROJECT, "examples/research-agent");

/** Three starts of everything, one of them after a crash that others must notice first. */
const TEST_TIMEOUT_MS = 180_000;

const DOCUMENT_COUNT = 6;

/** Enough steps before the first hook that a kill always meets the part where one step follows the other. */
const STEPS_BEFORE_KILL = 7;

interface Start {
  readonly child: ChildProcess;
  readonly output: () => string;
}

interface Step {
  readonly activity: string;
  readonly step: string;
  readonly run: string;
}

let folder: string;
let corpus: string;
const starts: Start[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "memflow-agent-"));
  corpus = await mkdtemp(path.join(tmpdir(), "memflow-corpus-"));
  for (let number = 1; number <= DOCUMENT_COUNT; number += 1) {
    const text = `A worker of kind ${number} always survives a kill. A slow worker ${number} may not survive one.\n`;
    await writeFile(path.join(corpus, `worker-${number}.md`), text);
  }
});

afterEach(async () => {
  for (const { child } of starts.splice(0)) await killTree(child);
  await rm(folder, { recursive: true });
  await rm(corpus, { recursive: true });
});

function startAgent(name: string): Start {
  const ledger = path.join(folder, `${name}.jsonl`);
  const input = JSON.stringify({ question: "Does a worker survive a kill?", corpus, paceMs: 40 });
  const child = spawn(
    process.execPath,
    [
      "-C",
      "source",
      MAIN,
      "dev",
      "-f",
      EXAMPLE,
      "--data",
      path.join(folder, name),
      "--once",
      "--input",
      input,
    ],
    {
      env: { ...process.env, MEMFLOW_STEP_LEDGER: ledger, DATABASE_URL: "", NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output += String(chunk)));
  const start = { child, output: () => output };
  starts.push(start);
  return start;
}

async function finish(start: Start): Promise<void> {
  const { child } = start;
  if (child.exitCode === null && child.signalCode === null) await once(child, "close");
  if (child.exitCode !== 0) expect.fail(`exit code ${child.exitCode}:\n${start.output()}`);
}

/** The steps in the order in which they were done. */
async function readLedger(name: string): Promise<readonly Step[]> {
  const text = await readFile(path.join(folder, `${name}.jsonl`), "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Step);
}

/** Waits until the ledger has so many steps. */
async function untilDone(name: string, stepCount: number): Promise<void> {
  const changes = watch(folder);
  if ((await readLedger(name)).length >= stepCount) return;
  for await (const _ of changes) {
    if ((await readLedger(name)).length >= stepCount) return;
  }
}

/** Ends a process and all that it started, at once and without a chance to tidy up. */
async function killTree(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "close");
  for (const pid of await treeOf(child.pid)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      // Ended by itself in between.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  await ended;
}

/** A process and its descendants, by /proc. */
async function treeOf(root: number): Promise<readonly number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/u.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    // The command's name is in brackets and may hold anything; the parent is the second field after it.
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    parents.set(Number(name), parent);
  }
  const tree = [root];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  }
  return tree;
}

/** The printed result, without the times before it and the hints after it. */
function resultOf(start: Start): string {
  return (
    /\ncompleted after[^\n]*\n([^]*)\nHow to go on/u.exec(start.output())?.[1] ?? expect.fail(start.output())
  );
}

test(
  "killed in the middle with everything around it, the agent finishes the same run, and no recorded step is done twice",
  { timeout: TEST_TIMEOUT_MS },
  async () => {
    const undisturbed = startAgent("undisturbed");
    await finish(undisturbed);
    const killed = startAgent("killed");
    await untilDone("killed", STEPS_BEFORE_KILL);
    await killTree(killed.child);
    const before = await readLedger("killed");
    const continued = startAgent("killed");
    await finish(continued);

    const ledger = await readLedger("killed");
    const nameOf = ({ run, activity, step }: Step): string => `${run} ${activity} ${step}`;
    expect(continued.output()).toContain("(continued)");
    expect(before.length).toBeLessThan((await readLedger("undisturbed")).length);

    // A step begins after the outcome of the one before is recorded: of all that were done, only the last may have been lost.
    const recorded = before.slice(0, -1).map(nameOf);
    for (const name of recorded) expect(ledger.map(nameOf).filter((other) => other === name)).toEqual([name]);
    expect(resultOf(continued)).toBe(resultOf(undisturbed));
  },
);
