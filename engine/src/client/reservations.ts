/**
 * Reserved workflow ids: runs that are recorded and wait to be resumed, as one flush.
 */
import { DuplicateJobError } from "../core/errors.ts";
import type { ClientQueries } from "../store/client-queries.ts";
import { withPayload } from "../store/json-member.ts";
import type { GroupCommitOptions } from "./group-commit.ts";

/** A run to record, which no worker takes before it is resumed. */
export interface ReserveRequest {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  readonly input: string | null;
  readonly options: string | null;
  readonly retentionSeconds: number | null;
  readonly entityType: string | null;
  readonly search: string | null;
  /** After this time without a resume the id is free again. */
  readonly pendingSeconds: number;
}

/** How reservations are committed. */
export function reserveFlush(options: {
  readonly queries: ClientQueries;
  readonly writer: string;
  readonly channel: string;
}): Pick<GroupCommitOptions<ReserveRequest, string>, "keyOf" | "statement" | "answers"> {
  const { queries, writer, channel } = options;
  return {
    keyOf: ({ workflowId }) => workflowId,
    statement: (items, number) => {
      const values = [writer, number, `[${items.map((item) => encodeRun(item, channel)).join(",")}]`];
      const seeds = items.flatMap(encodeSeed);
      return seeds.length === 0
        ? { ...queries.reserveRuns, values }
        : { ...queries.reserveSeededRuns, values: [...values, `[${seeds.join(",")}]`] };
    },
    answers: (items, reply) => {
      const refused = new Set(
        (reply === null ? [] : (JSON.parse(reply) as { readonly run: string }[])).map(({ run }) => run),
      );
      return items.map((item) =>
        refused.has(item.runId) ? new DuplicateJobError(item.workflowId, item.workflowName) : item.runId,
      );
    },
  };
}

/** What a start gives its run besides: memory, a build; nothing for most. */
export function encodeSeed(request: {
  readonly runId: string;
  readonly entityType?: string | null | undefined;
  readonly search?: string | null | undefined;
  readonly buildId?: string | null | undefined;
}): readonly string[] {
  const { runId, entityType = null, search = null, buildId = null } = request;
  if (entityType === null && search === null && buildId === null) return [];
  return [withPayload(JSON.stringify({ run: runId, type: entityType, build: buildId }), "search", search)];
}

function encodeRun(request: ReserveRequest, channel: string): string {
  const head = JSON.stringify({
    run: request.runId,
    workflow_id: request.workflowId,
    workflow_name: request.workflowName,
    task_queue: request.taskQueue,
    retention_seconds: request.retentionSeconds,
    watcher: channel,
    pending_seconds: request.pendingSeconds,
  });
  return withPayload(withPayload(head, "input", request.input), "options", request.options);
}
