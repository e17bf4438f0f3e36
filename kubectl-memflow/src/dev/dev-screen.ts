/**
 * Everything that `memflow dev` shows, in the order in which it is shown.
 *
 * Decides nothing and waits for nothing. Promises that no line holds a password.
 */
import type { DevPlan, RunPlan } from "./dev-plan.ts";
import { formatResult } from "../show/format-result.ts";
import type { Step } from "./run-progress.ts";
import type { Terminal } from "../show/terminal.ts";

/** How the command was called, for the lines that say how to go on. */
export interface Invocation {
  /** What a person types to call it the same way: `npm start` or `memflow dev -f app`. */
  readonly command: string;
  /** The same with further options: `npm start -- ` or `memflow dev -f app `. */
  readonly commandWithOptions: string;
}

/** A run as it is announced. */
export interface AnnouncedRun {
  readonly workflowId: string;
  readonly workflowName: string;
  readonly startedAt: Date;
  readonly isContinued: boolean;
}

const LABEL_CHARACTERS = 10;
const INPUT_CHARACTERS_MAX = 160;

/** The screen of one start. */
export class DevScreen {
  readonly #terminal: Terminal;
  readonly #invocation: Invocation;
  #nameCharacters = 0;

  constructor(terminal: Terminal, invocation: Invocation) {
    this.#terminal = terminal;
    this.#invocation = invocation;
  }

  title(file: string): void {
    this.#terminal.line(`${this.#terminal.paint("title", "memflow dev")}  ${file}`);
  }

  windows(): void {
    this.notice(
      "Windows is not supported: run this inside WSL (wsl --install), where everything works as on Linux",
    );
  }

  database(description: string, schemas: readonly string[]): void {
    this.#fact("database", description);
    this.#fact("schemas", schemas.join(", "));
  }

  otherHost(description: string): void {
    this.#fact("database", description);
    this.notice("memflow dev is running already; this one connects to it and shows the run");
  }

  workers(plan: DevPlan): void {
    const queues = plan.queues.map(({ taskQueue, replicas }) =>
      replicas === 1 ? taskQueue : `${taskQueue} x${replicas}`,
    );
    this.#fact("workers", queues.join(", "));
  }

  gateway(url: string): void {
    this.#fact("gateway", `${url}  (in this folder: kubectl memflow list)`);
  }

  run(run: AnnouncedRun, plan: RunPlan): void {
    this.#nameCharacters = run.workflowName.length;
    this.#fact("run", `${run.workflowId} (${run.isContinued ? "continued" : "started"})`);
    if (!run.isContinued) this.#fact("input", cut(plan.args.map((arg) => JSON.stringify(arg)).join(", ")));
    this.#terminal.line();
  }

  /** What was recorded before this start, in one line. */
  earlierSteps(steps: readonly Step[]): void {
    const last = steps.at(-1);
    if (last !== undefined)
      this.notice(`${steps.length} steps stand already, the last one: ${last.workflowName} ${last.text}`);
  }

  step(step: Step, startedAt: Date): void {
    const elapsed = ((step.at.getTime() - startedAt.getTime()) / 1_000).toFixed(2).padStart(8);
    this.#nameCharacters = Math.max(this.#nameCharacters, step.workflowName.length);
    const name = this.#terminal.paint("name", step.workflowName.padEnd(this.#nameCharacters));
    this.#terminal.line(`${elapsed} s  ${name}  ${this.#terminal.paint(step.tone, step.text)}`);
  }

  completed(result: unknown, elapsedMs: number): void {
    this.#terminal.line();
    this.#terminal.line(this.#terminal.paint("good", `completed after ${(elapsedMs / 1_000).toFixed(1)} s`));
    this.#terminal.line();
    const style = {
      columns: this.#terminal.columns,
      name: (text: string) => this.#terminal.paint("name", text),
      note: (text: string) => this.#terminal.paint("note", text),
    };
    for (const line of formatResult(result, style)) this.#terminal.line(line);
  }

  ended(status: string, reason: string): void {
    this.#terminal.line();
    this.#terminal.line(
      this.#terminal.paint("bad", `the run ${status === "failed" ? "failed" : `is ${status}`}: ${reason}`),
    );
  }

  parked(problem: string): void {
    this.#terminal.line(this.#terminal.paint("bad", `parked until the code fits again: ${problem}`));
  }

  worker(name: string, line: string): void {
    this.#terminal.line(this.#terminal.paint("note", `[${name}] ${line}`));
  }

  notice(text: string): void {
    this.#terminal.line(this.#terminal.paint("note", `  ${text}`));
  }

  howToGoOn(hasCorpus: boolean, isServing: boolean): void {
    const { command, commandWithOptions } = this.#invocation;
    this.#terminal.line();
    this.#terminal.line(this.#terminal.paint("title", "How to go on"));
    const examples: readonly (readonly [string, string])[] = [
      [command, "runs it once more; what was cut short goes on"],
      [`${commandWithOptions}--input '{...}'`, "starts it with another input"],
      ...(hasCorpus ? [[`${commandWithOptions}--corpus DIR`, "reads other documents"] as const] : []),
      [`${commandWithOptions}--fresh`, "forgets everything first"],
    ];
    const width = Math.max(...examples.map(([example]) => example.length));
    for (const [example, meaning] of examples) this.#terminal.line(`  ${example.padEnd(width)}  ${meaning}`);
    if (isServing) {
      this.#terminal.line();
      this.notice("the workers go on; Ctrl-C stops everything and keeps the data");
    }
  }

  stopping(): void {
    this.#terminal.line();
    this.notice("stopping: the workers hand over, then Postgres ends");
  }

  resume(): void {
    this.#terminal.line(
      `stopped; the data is kept. To resume: ${this.#terminal.paint("title", this.#invocation.command)}`,
    );
  }

  #fact(label: string, text: string): void {
    this.#terminal.line(`  ${this.#terminal.paint("note", label.padEnd(LABEL_CHARACTERS))}${text}`);
  }
}

function cut(text: string): string {
  return text.length <= INPUT_CHARACTERS_MAX ? text : `${text.slice(0, INPUT_CHARACTERS_MAX)}...`;
}
