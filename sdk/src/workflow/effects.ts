/**
 * What a workflow does to the outside once, however often its code is replayed: topics, spans, interrupts.
 */
import { OptionError, encodePayload } from "@memflow/engine";
import type { RunContext } from "@memflow/engine";
import type { JobInterruptOptions } from "../handle.ts";
import { checkInterrupt } from "../interrupt-options.ts";
import { checkName } from "../options.ts";
import { traceOf } from "../run-options.ts";
import { runOf } from "./in-run.ts";

/** How often an effect happens. */
export interface EffectConfig {
  /** False: again each time that the call is replayed (default true). */
  readonly once?: boolean | undefined;
}

/** The attributes of a span. */
export type TraceAttributes = Readonly<Record<string, string | number | boolean>>;

/**
 * Publishes data to subscribers of topics, once it is recorded: once, however often the code is replayed. Delivery is at
 * most once: who does not listen at that moment never gets it, and a worker that dies between the commit and the
 * notification takes it along. Send a signal where it must arrive.
 *
 * @param events - The data by topic; JSON values, 2 MiB at most together.
 * @param config - `once: false` publishes again at each replay.
 * @returns True, once it is recorded.
 * @throws {OptionError} When there is no topic; {PayloadError} for what JSON can't hold.
 *
 * @example
 * await MemFlow.workflow.emit({ 'order.paid': { cents: 1200 } });
 *
 * @see docs/replay.md#topics-and-spans
 */
export async function emit(
  events: Readonly<Record<string, unknown>>,
  config: EffectConfig = {},
): Promise<boolean> {
  const context = runOf("emit");
  const topics = namesOf("events", events, "the data by topic, such as { 'order.paid': { cents: 1200 } }");
  const payload = encodePayload(events, { field: "events" }) ?? "{}";
  const once = checkOnce(config);
  await context.issue({ kind: "emit", name: null }, (position) => ({
    kind: "emit",
    position,
    topics,
    payload,
    once,
  }));
  return true;
}

/**
 * Exports an OpenTelemetry span with these attributes once it is recorded: once, however often the code is replayed.
 * It belongs to the run's trace (`workflowInfo().workflowTrace`), and is exported by what the worker's process has set up;
 * without that, nowhere.
 *
 * @param attributes - Texts, numbers and booleans by name.
 * @param config - `once: false` exports one more at each replay.
 * @returns True, once it is recorded.
 * @throws {OptionError} When an attribute is anything else.
 *
 * @example
 * await MemFlow.workflow.trace({ 'order.cents': 1200, 'order.rush': true });
 *
 * @see docs/replay.md#topics-and-spans
 */
export async function trace(attributes: TraceAttributes, config: EffectConfig = {}): Promise<boolean> {
  const context = runOf("trace");
  for (const name of namesOf("attributes", attributes, "the attributes of the span by name"))
    checkAttribute(name, attributes[name]);
  const payload = JSON.stringify(attributes);
  const once = checkOnce(config);
  const { workflowTrace: traceId, workflowSpan: spanId } = traceOf(context.facts);
  await context.issue({ kind: "trace", name: null }, (position) => ({
    kind: "trace",
    position,
    payload,
    traceId,
    spanId,
    once,
  }));
  return true;
}

/**
 * Ends another run from outside, once, as `handle.interrupt` does; it has ended when this settles.
 *
 * @param jobId - The workflow id.
 * @param options - `reason`, `code`, `throw`, `descend`, `expire`; with `suppress`, a run that is not open is no error.
 * @returns The workflow id; undefined when no open run had it and `suppress` is true.
 * @throws {RunClosedError} When the run has ended; {WorkflowNotFoundError} when there is none.
 *
 * @example
 * const child = await MemFlow.workflow.startChild({ taskQueue: 'orders', workflowName: 'watch', args: [] });
 * await MemFlow.workflow.interrupt(child, { reason: 'no longer needed', throw: false, suppress: true });
 */
export async function interrupt(
  jobId: string,
  options: JobInterruptOptions = {},
): Promise<string | undefined> {
  const context = runOf("interrupt");
  const workflowId = checkName("jobId", jobId);
  // Where the call was made reads otherwise on replay: only what the options say is part of the command.
  const { failure, descend, retentionSeconds, suppress } = checkInterrupt(workflowId, {
    ...options,
    stack: options.stack ?? `InterruptedError: ${options.reason ?? "Job Interrupted"}`,
  });
  const call = { kind: "interrupt", name: workflowId, failureIsResult: suppress } as const;
  return await context.issue<string | undefined>(call, (position) => ({
    kind: "interrupt",
    position,
    workflowId,
    failure: JSON.stringify(failure),
    descend,
    retentionSeconds: retentionSeconds ?? null,
  }));
}

/**
 * Whether a side effect of the workflow's own may happen now: true the first time, once that is recorded, and false on
 * replay. So it happens at most once. What depends on the answer must be that effect alone: a durable call behind it
 * would be missing on replay.
 *
 * @param args - A name for the effect; MemFlow's engine client may come before it and is ignored.
 *
 * @example
 * if (await MemFlow.workflow.isSideEffectAllowed('greeting')) console.log('seen once');
 */
export async function isSideEffectAllowed(...args: readonly unknown[]): Promise<boolean> {
  const context = runOf("isSideEffectAllowed");
  return await mark(context, checkName("prefix", args.at(-1)));
}

/**
 * Whether the code was here before: false the first time, once that is recorded, and true on replay.
 *
 * @param prefix - A name for the place.
 * @returns Whether it was, and the position of this call.
 *
 * @example
 * const [seen] = await MemFlow.workflow.didRun('greeting');
 * if (!seen) console.log('seen once');
 */
export async function didRun(prefix: string): Promise<readonly [boolean, number]> {
  const context = runOf("didRun");
  const name = checkName("prefix", prefix);
  const position = context.nextPosition;
  return [!(await mark(context, name)), position];
}

function mark(context: RunContext, name: string): Promise<boolean> {
  return context.issue<boolean>({ kind: "mark", name }, (position) => ({ kind: "mark", position, name }));
}

function namesOf(field: string, value: unknown, what: string): readonly string[] {
  const names =
    typeof value === "object" && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
  if (names.length === 0) throw new OptionError({ field, value, remedy: `give ${what}` });
  for (const name of names) checkName(field, name);
  return names;
}

function checkAttribute(name: string, value: unknown): void {
  if (typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  throw new OptionError({
    field: `attributes.${name}`,
    value,
    remedy: "give a text, a finite number, true or false",
  });
}

function checkOnce({ once = true }: EffectConfig): boolean {
  if (typeof once === "boolean") return once;
  throw new OptionError({ field: "once", value: once, remedy: "give true or false" });
}
