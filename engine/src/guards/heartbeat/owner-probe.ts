/**
 * Asks a blocked main thread whose code it is executing, in the middle of that very code.
 *
 * The heartbeat thread attaches to the main thread's inspector, which V8 serves between two instructions of any
 * JavaScript, also of `while (true)` and of an endless chain of microtasks. The async context then tells the owner, even
 * when an await lies between the owner and the loop. Takes 1 to 5 ms of the main thread on Node 22, 24 and 26.
 *
 * Does not reach a main thread that is inside a native call (`execSync`, `Atomics.wait`): then there is no answer.
 */
import { processWide } from "../process-wide.ts";
import { runOutsideGuards } from "../outside-runs.ts";
import type { CodeOwner } from "./main-loop-board.ts";

/** What the main thread offers to its own inspector. */
export interface ProbeTarget {
  /** The owner by the async context; must not run user code. */
  readonly whose: () => CodeOwner | undefined;
}

/** What a probe has found out. */
export interface ProbeResult {
  readonly owner: CodeOwner | undefined;
  /** The frames of the code that executes, one a line. */
  readonly stack: string;
}

const REGISTRY_NAME = "heartbeat-probes.1";
const PROBE_FRAME_COUNT_MAX = 12;

interface Probe {
  look(): ProbeResult;
  abort(): void;
}

/** Main thread: lets the heartbeat thread of this worker ask. Returns the way to withdraw that. */
export function offerProbe(workerId: string, target: ProbeTarget): () => void {
  const probes = processWide<Map<string, Probe>>(REGISTRY_NAME, () => new Map());
  probes.set(workerId, {
    look: function look() {
      return { owner: target.whose(), stack: stackAbove(look) };
    },
    // Outside the guards: the code that blocks is user code, and they would refuse this to it.
    abort: () => runOutsideGuards(() => process.abort()),
  });
  return () => {
    probes.delete(workerId);
  };
}

/**
 * Heartbeat thread: asks the main thread.
 *
 * @param timeoutMs - How long to wait for the answer.
 * @returns What the main thread is doing; undefined when it does not answer in time, or this Node has no inspector.
 */
export async function probeMainThread(workerId: string, timeoutMs: number): Promise<ProbeResult | undefined> {
  const answer = await evaluateOnMain(probeExpression(workerId, "look"), timeoutMs);
  return answer as ProbeResult | undefined;
}

/** Heartbeat thread: lets the main thread abort the process, for the one process that no signal can kill: PID 1. */
export async function abortMainThread(workerId: string, timeoutMs: number): Promise<void> {
  await evaluateOnMain(probeExpression(workerId, "abort"), timeoutMs);
}

/** The inspector of Node; some builds have none, then the board alone tells whose code it is. */
export function loadInspector(): typeof import("node:inspector") | undefined {
  return process.features.inspector ? process.getBuiltinModule("node:inspector") : undefined;
}

function probeExpression(workerId: string, method: keyof Probe): string {
  return `globalThis[Symbol.for("memflow.${REGISTRY_NAME}")]?.get(${JSON.stringify(workerId)})?.${method}()`;
}

async function evaluateOnMain(expression: string, timeoutMs: number): Promise<unknown> {
  const inspector = loadInspector();
  if (inspector === undefined) return undefined;
  const session = new inspector.Session();
  let timer: NodeJS.Timeout | undefined;
  try {
    session.connectToMainThread();
    return await new Promise((resolve) => {
      timer = setTimeout(() => resolve(undefined), timeoutMs);
      session.post("Runtime.evaluate", { expression, returnByValue: true }, (error, response) => {
        resolve(error === null ? (response.result.value as unknown) : undefined);
      });
    });
  } finally {
    clearTimeout(timer);
    session.disconnect();
  }
}

/** The frames of the code that was interrupted, below those of the probe: its own and the inspector's expression. */
function stackAbove(own: () => unknown): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = PROBE_FRAME_COUNT_MAX;
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, own);
  Error.stackTraceLimit = limit;
  const [, , ...frames] = String(holder.stack).split("\n");
  return frames.join("\n");
}
