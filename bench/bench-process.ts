/**
 * The parent's end of a process of the bench: starts it, calls it, ends it.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { AnswerMessage, CallName, Calls, ProcessRole } from "./process-calls.ts";

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

const MAIN = join(import.meta.dirname, "process-main.ts");

export class BenchProcess {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  #id = 0;

  /** Starts a process and waits until it is connected. */
  static async start(role: ProcessRole): Promise<BenchProcess> {
    const process = new BenchProcess(role);
    try {
      await process.#answer(0);
      return process;
    } catch (error) {
      process.kill();
      throw error;
    }
  }

  private constructor(role: ProcessRole) {
    this.#name = `${role.subject} ${role.role}`;
    this.#child = fork(MAIN, [JSON.stringify(role)], {
      execArgv: ["-C", "source", "--expose-gc", ...nodeOptions(role)],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      serialization: "advanced",
    });
    this.#child.on("message", (message: AnswerMessage) => this.#take(message));
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        const error = new Error(`the ${this.#name} process ended (${signal ?? code}); see its output above`);
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async call<Name extends CallName>(
    name: Name,
    argument: Calls[Name]["argument"],
  ): Promise<Calls[Name]["answer"]> {
    const id = (this.#id += 1);
    this.#child.send({ id, name, argument });
    return (await this.#answer(id)) as Calls[Name]["answer"];
  }

  /** Lets it end by itself. */
  async close(): Promise<void> {
    await this.call("close", null);
    this.#child.disconnect();
    await this.#exited;
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #answer(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #take({ id, answer, error }: AnswerMessage): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(`the ${this.#name} process failed: ${error}`));
  }
}

/**
 * `MEMFLOW_BENCH_PROFILE=FOLDER` writes a CPU profile of each process there. DBOS's warnings are not ours to show.
 */
function nodeOptions({ subject, role }: ProcessRole): string[] {
  const options = subject === "dbos" ? ["--no-deprecation"] : [];
  const folder = process.env["MEMFLOW_BENCH_PROFILE"];
  if (folder === undefined || folder === "") return options;
  const file = `${subject}-${role}-${Date.now()}.cpuprofile`;
  return [...options, "--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${file}`];
}
