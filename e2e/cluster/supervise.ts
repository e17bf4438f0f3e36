/**
 * A script that makes something and holds it for as long as this process holds its standard input.
 *
 * So what it made ends with this process, however that ends, without any handler of ours.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** What to run. */
export interface Supervised {
  /** As in `local cluster`, for messages. */
  readonly what: string;
  /** It writes `NAME=VALUE` lines and then `ready`, and ends when its standard input does. */
  readonly script: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A script that is ready. */
export interface Supervisor {
  /** A value that it told. */
  value(name: string): string;
  /** Has it undo all, and waits for that. */
  stop(): Promise<void>;
}

const STOP_LIMIT_MS = 60_000;

/**
 * Runs a script until it is ready.
 *
 * @throws When it ends before; the message has what it wrote to standard error.
 */
export async function supervise({ what, script, args, env }: Supervised): Promise<Supervisor> {
  const child = spawn(script, args, {
    // A session of its own: an interrupt from the terminal reaches it through the end of the pipe alone.
    detached: true,
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  const closed = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
  });
  const values = new Map<string, string>();
  let isReady = false;
  for await (const line of createInterface({ input: child.stdout })) {
    isReady = line === "ready";
    if (isReady) break;
    const [name = "", value = ""] = line.split("=", 2);
    values.set(name, value);
  }
  child.stdout.resume(); // Else its end would not be seen.
  if (!isReady) {
    await closed;
    throw new Error(`the ${what} did not start: ${complaint.trim()}`);
  }
  return {
    value(name) {
      const value = values.get(name);
      if (value === undefined) throw new Error(`the script of the ${what} did not say "${name}"`);
      return value;
    },
    async stop() {
      child.stdin.end();
      await withLimit(closed, () => new Error(`the ${what} did not end: ${complaint.trim()}`));
    },
  };
}

async function withLimit(done: Promise<void>, error: () => Error): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error()), STOP_LIMIT_MS);
  });
  try {
    await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}
