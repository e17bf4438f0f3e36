/**
 * The options that a run carries from its start: recorded with it as JSON, read on every replay, handed on to children.
 *
 * Promises that a run without options records none, and that the member `retry` is what the engine reads.
 */
import type { RetryPolicy, RunFacts } from "@memflow/engine";

/** What is recorded; what was not given is left out. */
export interface RunOptions {
  /** The workflow's own retry policy. */
  readonly retry?: RetryPolicy | undefined;
  /** Seconds that the finished run is kept. */
  readonly expire?: number | undefined;
  /** In a hook: the workflow id of the run that it runs in. */
  readonly jobId?: string | undefined;
  /** The workflow id of the first ancestor. */
  readonly originJobId?: string | undefined;
  /** W3C trace id: 32 lower-case hexadecimal digits. */
  readonly workflowTrace?: string | undefined;
  /** W3C span id: 16 lower-case hexadecimal digits. */
  readonly workflowSpan?: string | undefined;
}

/** The options of a run. */
export function runOptionsOf({ options }: Pick<RunFacts, "options">): RunOptions {
  return options === null ? {} : (JSON.parse(options) as RunOptions);
}

/** Their JSON text; null when there is nothing to say. */
export function encodeRunOptions(options: RunOptions): string | null {
  const text = JSON.stringify(options);
  return text === "{}" ? null : text;
}

/** The trace and the parent span of what a run traces: as given, else made of its run id. */
export function traceOf(facts: Pick<RunFacts, "runId" | "options">): {
  readonly workflowTrace: string;
  readonly workflowSpan: string;
} {
  const { workflowTrace, workflowSpan } = runOptionsOf(facts);
  // A run id has the 128 bits of a trace id; its random end is the span.
  const hex = facts.runId.replaceAll("-", "");
  return { workflowTrace: workflowTrace ?? hex, workflowSpan: workflowSpan ?? hex.slice(16) };
}
