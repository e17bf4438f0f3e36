/** Somebody at a terminal, for tests: runs command lines in this process and reads both streams. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import type { CliIo } from "../cli/cli-io.ts";
import { runCli } from "../cli/run-cli.ts";

/** How a command line ended. */
export interface CliEnd {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** One command line that runs. */
export interface RunningCli {
  readonly ended: Promise<CliEnd>;
  /** Resolves once the pattern stands in what it wrote, on either stream; rejects when it ends before. */
  printed(pattern: RegExp): Promise<void>;
  /** Ctrl-C. */
  interrupt(): void;
}

/** A user of a gateway. */
export class CliUser {
  readonly folder: string;
  readonly #options: readonly string[];
  readonly #environment: Readonly<Record<string, string>>;

  /** A user who says these options each time. */
  static async make(
    options: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<CliUser> {
    const folder = await mkdtemp(path.join(tmpdir(), "memflow-cli-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    return new CliUser(folder, options, environment);
  }

  /** A user of a gateway by its token. */
  static async withToken(server: string, token: string, namespace: string): Promise<CliUser> {
    const user = await CliUser.make([]);
    await writeFile(path.join(user.folder, "token"), `${token}\n`);
    return new CliUser(user.folder, ["--server", server, "--token-file", "token", "-n", namespace], {});
  }

  private constructor(
    folder: string,
    options: readonly string[],
    environment: Readonly<Record<string, string>>,
  ) {
    this.folder = folder;
    this.#options = options;
    this.#environment = environment;
  }

  /** Runs a command line to its end. */
  async run(...args: readonly string[]): Promise<CliEnd> {
    return this.begin(args).ended;
  }

  /** Runs one with something on stdin. */
  async pipe(input: string, ...args: readonly string[]): Promise<CliEnd> {
    return this.begin(args, input).ended;
  }

  begin(args: readonly string[], input = ""): RunningCli {
    const interruption = new AbortController();
    const waiters = new Set<() => void>();
    let out = "";
    let err = "";
    const hear = (): void => {
      for (const waiter of waiters) waiter();
    };
    const io: CliIo = {
      stdout: { write: (text) => ((out += text), hear()) },
      stderr: { write: (text) => ((err += text), hear()) },
      stdin: (async function* given() {
        yield input;
      })(),
      environment: this.#environment,
      folder: this.folder,
      name: "kubectl memflow",
      interruption: () => interruption.signal,
    };
    let hasEnded = false;
    const ended = runCli([...args, ...this.#options], io).then((code) => {
      hasEnded = true;
      hear();
      return { code, out, err };
    });
    return {
      ended,
      interrupt: () => interruption.abort(),
      async printed(pattern) {
        while (!pattern.test(out + err)) {
          if (hasEnded) throw new Error(`it ended before it printed ${String(pattern)}:\n${out}${err}`);
          await new Promise<void>((resolve) => waiters.add(resolve));
        }
      },
    };
  }
}
