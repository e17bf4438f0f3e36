/**
 * Hooks from outside: how a client starts functions inside open runs, as one flush.
 */
import type { ClientQueries } from "../store/client-queries.ts";
import { withPayload } from "../store/json-member.ts";
import type { GroupCommitOptions } from "./group-commit.ts";

/** A hook to start inside a run. */
export interface HookRequest {
  /** The workflow id of the run that it becomes a part of. */
  readonly into: string;
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  /** JSON text of the argument list. */
  readonly input: string | null;
  /** JSON text of the run's options. */
  readonly options: string | null;
  readonly delayMs: number;
  readonly retentionSeconds: number | null;
  /** JSON text of search data that the run gets before the hook begins. */
  readonly search: string | null;
}

/** Whether the hook stands, of which run, and whom to tell. */
export interface HookReceipt {
  readonly stands: boolean;
  /** Null: no run has the workflow id. */
  readonly run: string | null;
  readonly status: string | null;
  readonly owner: string | null;
  readonly queue: string | null;
}

/** How hooks are committed. */
export function hookFlush(options: {
  readonly queries: ClientQueries;
  readonly writer: string;
  readonly retryMaxMs: number;
}): Pick<GroupCommitOptions<HookRequest, HookReceipt>, "keyOf" | "statement" | "answers" | "retryMaxMs"> {
  const { queries, writer, retryMaxMs } = options;
  return {
    retryMaxMs,
    keyOf: () => undefined,
    statement: (items, number) => ({
      ...queries.startHooks,
      values: [writer, number, `[${items.map(encodeHook).join(",")}]`],
    }),
    answers: (_items, reply) => (reply === null ? [] : (JSON.parse(reply) as HookReceipt[])),
  };
}

function encodeHook(request: HookRequest): string {
  const head = JSON.stringify({
    into: request.into,
    run: request.runId,
    workflow_id: request.workflowId,
    workflow_name: request.workflowName,
    task_queue: request.taskQueue,
    delay_ms: request.delayMs,
    retention_seconds: request.retentionSeconds,
  });
  const withInput = withPayload(head, "input", request.input);
  return withPayload(withPayload(withInput, "options", request.options), "search", request.search);
}
