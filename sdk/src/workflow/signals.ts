/**
 * Signals inside a workflow: waiting for them and sending them.
 */
import { decodePayload, encodePayload, parseDurationMs } from "@memflow/engine";
import { checkName } from "../options.ts";
import { runOf } from "./in-run.ts";

/**
 * Waits for the next signal of an id: signals that came before are kept for it, in their order.
 *
 * @param signalId - The id, at most 512 bytes.
 * @returns What the sender gave.
 *
 * @example
 * const approval = await MemFlow.workflow.waitFor<{ by: string }>('approved');
 */
export async function waitFor<Payload>(signalId: string): Promise<Payload> {
  const context = runOf("waitFor");
  const id = checkName("signalId", signalId);
  const position = context.takePosition(`waitFor "${id}"`);
  const kept = context.signals.take(id, position);
  if (kept !== undefined) return decodePayload(kept.data) as Payload;
  context.command({ kind: "wait", position, signalId: id });
  return await context.expect<Payload>(position, { kind: "wait", name: id });
}

/**
 * Waits for the next signal of an id, for a time: when it has passed first, the wait is taken back, and the next signal of
 * the id is left for a later call. On replay the recorded outcome.
 *
 * @param signalId - The id, at most 512 bytes.
 * @param timeout - Milliseconds, or a text that `ms` reads; without it, it waits as `waitFor` does.
 * @returns What the sender gave; false when the time has passed.
 * @throws {DurationError} When the timeout can't be read.
 *
 * @example
 * const approval = await MemFlow.workflow.condition<{ by: string }>('approved', '2 days');
 * if (approval === false) await MemFlow.workflow.signal('escalate', { because: 'nobody answered' });
 */
export async function condition<Payload>(
  signalId: string,
  timeout?: string | number,
): Promise<Payload | false> {
  if (timeout === undefined) return await waitFor<Payload>(signalId);
  const context = runOf("condition");
  const id = checkName("signalId", signalId);
  const timeoutMs = parseDurationMs(timeout, "timeout");
  const position = context.takePosition(`condition "${id}"`);
  const kept = context.signals.take(id, position);
  if (kept !== undefined) return decodePayload(kept.data) as Payload;
  context.command({ kind: "wait", position, signalId: id });
  const signaled = context.expect<Payload | false>(position, { kind: "wait", name: id });
  const timer = context.startTimer(() => {
    context.signals.forgetWait(id, position);
    context.close(position)?.resolve(false);
  }, timeoutMs);
  const payload = await signaled;
  context.clearTimer(timer);
  return payload;
}

/**
 * Sends a signal once, however often the code is replayed. From a hook it goes to the run that the hook belongs to; from a
 * workflow to the first that waits for the id among its hooks and, upwards, its parents; else to the run of the
 * namespace that has waited longest, or it is kept for a day until one waits.
 *
 * @param signalId - The id, at most 512 bytes.
 * @param data - Any JSON value, at most 2 MiB.
 * @returns The signal id.
 *
 * @example
 * await MemFlow.workflow.signal('optimistic-complete', { findings: 3 });
 *
 * @see docs/replay.md#where-a-signal-goes
 */
export async function signal(signalId: string, data?: unknown): Promise<string> {
  const context = runOf("signal");
  const id = checkName("signalId", signalId);
  const payload = encodePayload(data, { field: `data of signal "${id}"` });
  const toRunId = context.facts.hook ? context.facts.parentRunId : null;
  await context.issue({ kind: "signal", name: id }, (position) => ({
    kind: "signal",
    position,
    signalId: id,
    payload,
    toRunId,
  }));
  return id;
}
