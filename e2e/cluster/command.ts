/**
 * Runs another program to its end.
 *
 * A failure carries what the program wrote, so that the message alone says what went wrong.
 */
import { spawn } from "node:child_process";

/** How a program is run. */
export interface CommandOptions {
  readonly cwd?: string;
  /** Besides this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Its standard input (default: none). */
  readonly input?: string;
  /** Hears each piece of output as it comes, for long builds. */
  readonly onOutput?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** The program could not be started, or ended with another status than 0. */
export class CommandError extends Error {
  readonly code = "COMMAND_FAILED";
  readonly command: string;
  /** `undefined` when it did not start or a signal ended it. */
  readonly status: number | undefined;
  /** What it wrote to standard error, or to standard output when that is empty. */
  readonly output: string;

  constructor(command: string, status: number | undefined, output: string, cause?: unknown) {
    const end = status === undefined ? "did not run to its end" : `ended with status ${status}`;
    super(`\`${command}\` ${end}: ${output.trim().slice(-OUTPUT_SHOWN_MAX)}`, { cause });
    this.name = "CommandError";
    this.command = command;
    this.status = status;
    this.output = output;
  }
}

const OUTPUT_SHOWN_MAX = 4_000;

/**
 * Runs a program and waits for its end.
 *
 * @returns What it wrote to standard output.
 * @throws {CommandError} When it can't be started or fails.
 */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const command = [program, ...args].join(" ").slice(0, 300);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      signal: options.signal,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      options.onOutput?.(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      options.onOutput?.(text);
    });
    child.on("error", (cause) => reject(new CommandError(command, undefined, cause.message, cause)));
    child.on("close", (status) => {
      if (status === 0) resolve(stdout);
      else reject(new CommandError(command, status ?? undefined, stderr.trim() === "" ? stdout : stderr));
    });
    // A program that does not read its input to the end says so by its status.
    child.stdin.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") reject(error);
    });
    child.stdin.end(options.input ?? "");
  });
}

/** Whether a program runs and ends well. */
export async function succeeds(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<boolean> {
  try {
    await runCommand(program, args, options);
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}
