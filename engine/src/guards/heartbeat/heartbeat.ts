/**
 * A worker's heartbeat, sent by a thread of its own: a main thread that computes is not a dead one.
 *
 * Promises a beat every `beatMs` whatever the main thread does, a report of every turn of the main loop over
 * `reportMs`, and the end of the process after `killMs`, with the run or attempt whose code it is named to the database
 * first. While a debugger is attached nothing is reported or ended. Keeps no process alive. Does not decide what a
 * missed beat or a death means: the callbacks do.
 */
import { Worker } from "node:worker_threads";
import type pg from "pg";
import { runOutsideGuards } from "../outside-runs.ts";
import type { CodeOwner } from "./main-loop-board.ts";
import { MainLoopBoard } from "./main-loop-board.ts";
import { loadInspector, offerProbe } from "./owner-probe.ts";
import { toThreadConnection } from "./thread-connection.ts";
import { sharedClockMs } from "./thread-protocol.ts";
import type {
  Beat,
  BlockedLoop,
  MissedBeat,
  PasswordMessage,
  ThreadData,
  ThreadMessage,
} from "./thread-protocol.ts";

export type { CodeOwner } from "./main-loop-board.ts";
export type { Beat, BlockedLoop, MissedBeat } from "./thread-protocol.ts";

const BEAT_MS = 2_000;
const REPORT_MS = 2_000;
const KILL_MS = 30_000;
/** Several turns are shown for each look of the thread, so a look never falls between two of them. */
const TURNS_PER_REPORT = 8;

/** With `--eval`: what the text on the command line is. */
const INPUT_TYPE_OPTION = "--input-type";

/** How a worker beats and what it hears. Every callback is called on the main thread, outside every run. */
export interface HeartbeatOptions {
  /** The worker's incarnation. */
  readonly workerId: string;
  /** As `new pg.Client()` takes it; a password may be a function, everything else must be plain values. */
  readonly connection: pg.ClientConfig;
  /** Gets `[workerId, mainLoopTurnMs]`, the time since the main loop turned; returns a row `{alive, database_ms}`. */
  readonly beatSql: string;
  /** Gets `[workerId, kind, id, position]`, executed before the process is ended. */
  readonly blameSql: string;
  /** Time between two beats (default 2,000). */
  readonly beatMs?: number;
  /** A turn of the main loop beyond this is reported (default 2,000). */
  readonly reportMs?: number;
  /** A turn of the main loop beyond this ends the process (default 30,000). */
  readonly killMs?: number;
  /** Whose user code executes, by the async context; called in the middle of that code, so it only looks. */
  readonly whose: () => CodeOwner | undefined;
  readonly onBeat: (beat: Beat) => void;
  readonly onMiss: (miss: MissedBeat) => void;
  readonly onBlocked: (blocked: BlockedLoop) => void;
  /** The thread has ended by itself and no beat will follow. */
  readonly onFailure: (error: Error) => void;
}

/** A running heartbeat. */
export interface Heartbeat {
  /** Says that the main loop turns, sooner than its timer would. */
  touch(): void;
  /** Says whose user code is called next; needed only where a native call could block for long. */
  enter(kind: CodeOwner["kind"], id: string, position: number): void;
  /** Says that this code has returned. */
  leave(): void;
  /** Ends the thread and its connection at once. */
  stop(): Promise<void>;
}

/**
 * Starts the heartbeat of one worker.
 *
 * @throws {OptionError} When the connection cannot be given to a thread.
 *
 * @example
 * const heartbeat = startHeartbeat({ workerId, connection, beatSql, blameSql, whose, ...callbacks });
 * await heartbeat.stop();
 */
export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  return runOutsideGuards(() => new ThreadedHeartbeat(options));
}

class ThreadedHeartbeat implements Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #board = new MainLoopBoard();
  readonly #askPassword: (() => Promise<string>) | undefined;
  readonly #thread: Worker;
  readonly #turns: NodeJS.Timeout;
  readonly #withdrawProbe: () => void;
  #stopped = false;

  constructor(options: HeartbeatOptions) {
    const { beatMs = BEAT_MS, reportMs = REPORT_MS, killMs = KILL_MS } = options;
    const { config, askPassword } = toThreadConnection(options.connection);
    const { workerId, beatSql, blameSql, whose } = options;
    this.#options = options;
    this.#askPassword = askPassword;
    this.touch();
    this.#withdrawProbe = offerProbe(workerId, { whose });
    this.#thread = startThread({
      workerId,
      beatSql,
      blameSql,
      beatMs,
      reportMs,
      killMs,
      board: this.#board.buffer,
      connection: config,
      clockOriginMs: performance.timeOrigin + performance.now() - sharedClockMs(),
      asksPassword: askPassword !== undefined,
    });
    this.#thread.on("message", (message: ThreadMessage) => this.#hear(message));
    this.#thread.once("error", (error: Error) => this.#fail(error));
    this.#thread.once("exit", (code) => {
      this.#fail(new Error(`the heartbeat thread has ended with exit code ${code}`));
    });
    this.#thread.unref();
    this.#turns = setInterval(() => this.touch(), Math.ceil(reportMs / TURNS_PER_REPORT));
    this.#turns.unref();
  }

  touch(): void {
    this.#board.turn(loadInspector()?.url() !== undefined);
  }

  enter(kind: CodeOwner["kind"], id: string, position: number): void {
    this.#board.enter({ kind, id, position });
  }

  leave(): void {
    this.#board.leave();
  }

  async stop(): Promise<void> {
    this.#end();
    await this.#thread.terminate();
  }

  #hear(message: ThreadMessage): void {
    if (this.#stopped) return;
    switch (message.type) {
      case "beat":
        this.#options.onBeat(message.beat);
        break;
      case "miss":
        this.#options.onMiss(message.miss);
        break;
      case "blocked":
        this.#options.onBlocked(message.blocked);
        break;
      case "ask-password":
        void this.#answerPassword();
        break;
    }
  }

  async #answerPassword(): Promise<void> {
    let answer: PasswordMessage;
    try {
      answer = { type: "password", password: await this.#askPassword?.(), problem: undefined };
    } catch (error) {
      answer = { type: "password", password: undefined, problem: String(error) };
    }
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#thread.postMessage(answer);
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.#end();
    this.#options.onFailure(error);
  }

  #end(): void {
    this.#stopped = true;
    clearInterval(this.#turns);
    this.#withdrawProbe();
  }
}

/** Runs from sources and from the build alike: the thread's file has the ending of this one. */
function startThread(data: ThreadData): Worker {
  const source = new URL("./heartbeat-thread.ts", import.meta.url);
  const file = import.meta.url.endsWith(".ts") ? source : new URL(source.href.replace(/\.ts$/, ".js"));
  const evaluated = process.execArgv.some((option) => option.startsWith(INPUT_TYPE_OPTION));
  return new Worker(file, {
    name: "memflow-heartbeat",
    workerData: data,
    // A thread inherits all options of the process, and this one is an error beside a file.
    ...(evaluated ? { execArgv: [] } : {}),
  });
}
