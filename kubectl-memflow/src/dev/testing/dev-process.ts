/**
 * Runs `memflow dev` as a user would, for tests: a process of its own, its output line by line, its whole tree to kill.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { isSameProcess, identifyProcess } from "../process-identity.ts";
import type { ProcessIdentity } from "../process-identity.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));

/** The fixture: a folder of manifests and code. */
export const LEDGER_APP: string = fileURLToPath(new URL("ledger-app", import.meta.url));

/** Where a test keeps everything. */
export interface DevPlace {
  /** Becomes `--data`. */
  readonly dataDir: string;
  readonly ledgerFile: string;
}

/** A running `memflow dev`. */
export class DevProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #waiters = new Set<() => void>();
  #output = "";

  constructor(place: DevPlace, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const all = ["dev", "-f", LEDGER_APP, "--data", place.dataDir, ...args];
    const { DATABASE_URL: _ignored, ...inherited } = process.env;
    this.#child = spawn(process.execPath, ["-C", "source", MAIN, ...all], {
      env: { ...inherited, LEDGER_FILE: place.ledgerFile, ...environment },
      cwd: path.dirname(place.dataDir),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#exited = once(this.#child, "close");
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.#hear(line));
    }
    void this.#exited.then(() => this.#wake());
  }

  get output(): string {
    return this.#output;
  }

  /** Waits until the pattern is in the output; fails when the process ends before. */
  async untilPrinted(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#output)) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`memflow dev ended before it printed ${String(pattern)}:\n${this.#output}`);
      }
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  /** Waits for the end; the exit code, null after a signal. */
  async end(): Promise<number | null> {
    await this.#exited;
    return this.#child.exitCode;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** The process and its children, as they are now. */
  async tree(): Promise<readonly ProcessIdentity[]> {
    const own = this.#child.pid ?? 0;
    const identities = await Promise.all([own, ...(await childrenOf(own))].map(identifyProcess));
    return identities.filter((identity) => identity !== undefined);
  }

  /** Kills the process with its workers and its Postgres, all at once. */
  async killTree(): Promise<void> {
    for (const { pid } of await this.tree()) process.kill(pid, "SIGKILL");
    await this.#exited;
  }

  #hear(line: string): void {
    this.#output += `${line}\n`;
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

/** Those of the processes that still run. */
export async function survivorsOf(tree: readonly ProcessIdentity[]): Promise<readonly number[]> {
  const alive = await Promise.all(tree.map(isSameProcess));
  return tree.filter((_, index) => alive[index]).map(({ pid }) => pid);
}

/** The numbers in the ledger, in their order. */
export async function readLedger(place: DevPlace): Promise<readonly number[]> {
  const text = await readFile(place.ledgerFile, "utf8");
  return text.trim().split("\n").map(Number);
}

/** Reads /proc: the tests of `memflow dev` run on Linux. */
async function childrenOf(parent: number): Promise<readonly number[]> {
  const tasks = await readdir(`/proc/${parent}/task`);
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/${parent}/task/${task}/children`, "utf8")),
  );
  return lists
    .flatMap((list) => list.trim().split(" "))
    .filter((text) => text !== "")
    .map(Number);
}
