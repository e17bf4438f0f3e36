/**
 * The heartbeat thread: beats for its worker, and ends the process when the main thread's loop is stuck.
 *
 * Promises to beat on time whatever the main thread does, to go on trying while the database cannot be reached, and to
 * end a process whose loop has not turned for `killMs`, with or without database. The run or attempt whose code blocks
 * is blamed first, within a bound, so that it alone answers for it. Loaded as a worker thread only.
 */
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { BeatConnection } from "./beat-connection.ts";
import { LoopWatch } from "./loop-watch.ts";
import type { CodeOwner } from "./main-loop-board.ts";
import { MainLoopBoard } from "./main-loop-board.ts";
import { abortMainThread, probeMainThread } from "./owner-probe.ts";
import { sharedClockMs } from "./thread-protocol.ts";
import type { BlockedLoop, PasswordMessage, ThreadData, ThreadMessage } from "./thread-protocol.ts";

const BEAT_DEADLINE_MS = 4_000;
const BLAME_DEADLINE_MS = 5_000;
const PASSWORD_DEADLINE_MS = 3_000;
const PROBE_DEADLINE_MS = 1_000;
/** After SIGKILL, which does not reach a process with the id 1. */
const ABORT_AFTER_MS = 500;
const WATCH_MS_MAX = 500;
const WATCHES_PER_REPORT = 4;
const STDERR_FD = 2;

const data = workerData as ThreadData;
const board = new MainLoopBoard(data.board);
const connection = new BeatConnection(data, askPassword);
const watchMs = Math.min(WATCH_MS_MAX, Math.ceil(data.reportMs / WATCHES_PER_REPORT));
const watch = new LoopWatch({ watchMs, reportMs: data.reportMs, killMs: data.killMs });

let beating = false;
let answeredAtMs = performance.now();
let lookedAtMs = performance.now();
let blocked: BlockedLoop | undefined;
let lastPassword: string | undefined;

setInterval(() => void beat(), data.beatMs);
setInterval(() => void look(), watchMs);
void beat();

function post(message: ThreadMessage): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort?.postMessage(message);
}

/** One beat at a time: a late answer must not be followed by a queue of old questions. */
async function beat(): Promise<void> {
  if (beating) return;
  beating = true;
  try {
    const startedMs = performance.now();
    const localMs = data.clockOriginMs + sharedClockMs();
    const values = [data.workerId, Math.round(watch.blockedMs)];
    const { rows } = await connection.query(data.beatSql, values, BEAT_DEADLINE_MS);
    const [row] = rows as { readonly alive: unknown; readonly database_ms: unknown }[];
    answeredAtMs = performance.now();
    const roundTripMs = answeredAtMs - startedMs;
    const offsetMs = row === undefined ? 0 : Number(row.database_ms) - (localMs + roundTripMs / 2);
    post({ type: "beat", beat: { alive: row?.alive === true, offsetMs, roundTripMs } });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    post({ type: "miss", miss: { message, silentMs: Math.round(performance.now() - answeredAtMs) } });
  } finally {
    beating = false;
  }
}

async function look(): Promise<void> {
  const nowMs = performance.now();
  const blockedMs = Math.round(watch.blockedMs);
  const verdict = watch.look(board.turnCount, nowMs - lookedAtMs);
  lookedAtMs = nowMs;
  if (watch.blockedMs === 0 && blocked !== undefined) {
    post({ type: "blocked", blocked: { ...blocked, blockedMs: Math.max(blocked.blockedMs, blockedMs) } });
    blocked = undefined;
  }
  if (board.debugged) return;
  if (verdict === "report") blocked = await inspectLoop();
  if (verdict === "kill") await endProcess();
}

/** The main thread's own answer counts first: what was entered is read before it, since the loop may go on meanwhile. */
async function inspectLoop(): Promise<BlockedLoop> {
  const entered = board.owner;
  const probe = await probeMainThread(data.workerId, PROBE_DEADLINE_MS);
  return {
    blockedMs: Math.round(watch.blockedMs),
    owner: probe?.owner ?? entered,
    stack: probe?.stack ?? "",
  };
}

async function endProcess(): Promise<void> {
  const turnCount = board.turnCount;
  const { owner, stack, blockedMs } = await inspectLoop();
  if (board.turnCount !== turnCount) return;
  const problem = await blame(owner);
  writeSync(STDERR_FD, `${farewell({ owner, stack, blockedMs, problem })}\n`);
  process.kill(process.pid, "SIGKILL");
  setTimeout(() => void abortMainThread(data.workerId, PROBE_DEADLINE_MS), ABORT_AFTER_MS);
}

/** Returns why nobody could be blamed; undefined when it was done. */
async function blame(owner: CodeOwner | undefined): Promise<string | undefined> {
  if (owner === undefined) {
    // The code may be of another worker in this process, whose thread needs this time to blame it.
    await new Promise((resolve) => setTimeout(resolve, BLAME_DEADLINE_MS));
    return "its owner is not known";
  }
  try {
    const values = [data.workerId, owner.kind, owner.id, owner.position];
    await connection.query(data.blameSql, values, BLAME_DEADLINE_MS);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function farewell(end: {
  readonly owner: CodeOwner | undefined;
  readonly stack: string;
  readonly blockedMs: number;
  readonly problem: string | undefined;
}): string {
  const { owner, stack, blockedMs, problem } = end;
  const who =
    owner === undefined
      ? "code of no known run"
      : owner.kind === "run"
        ? `run "${owner.id}"`
        : `activity ${owner.position} of run "${owner.id}"`;
  const recorded = problem === undefined ? "recorded against it" : `not recorded: ${problem}`;
  return `memflow: ${who} has blocked the main loop of worker "${data.workerId}" for ${blockedMs} ms (${recorded}); the process ends\n${stack}`;
}

/** The main thread knows it; when that is blocked, the last one may still do. */
async function askPassword(): Promise<string> {
  const answer = await new Promise<PasswordMessage | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(undefined), PASSWORD_DEADLINE_MS);
    parentPort?.once("message", (message: PasswordMessage) => {
      clearTimeout(timer);
      resolve(message);
    });
    post({ type: "ask-password" });
  });
  lastPassword = answer?.password ?? lastPassword;
  if (lastPassword === undefined) {
    throw new Error(
      answer?.problem ?? `the password function gave no answer within ${PASSWORD_DEADLINE_MS} ms`,
    );
  }
  return lastPassword;
}
