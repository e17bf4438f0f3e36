/** How runs are shown in a table. */
import type { Run } from "@memflow/gateway/client";
import { ageOf, humanDuration } from "../print/age.ts";
import type { Column, View } from "../print/printer.ts";

/** A run with its Kubernetes namespace, for lists over all of them. */
export interface PlacedRun extends Run {
  readonly namespace?: string;
  readonly store?: string;
}

const COLUMNS: readonly Column<PlacedRun>[] = [
  { heading: "RUN ID", cell: ({ runId }) => runId },
  { heading: "WORKFLOW", cell: ({ workflow }) => workflow },
  { heading: "WORKFLOW ID", cell: ({ workflowId }) => workflowId },
  { heading: "STATUS", cell: statusOf },
  { heading: "AGE", cell: ({ startedAt }, nowMs) => ageOf(startedAt, nowMs) },
  { heading: "TOOK", cell: tookOf },
  { heading: "QUEUE", isWide: true, cell: ({ taskQueue }) => taskQueue },
  { heading: "EVENTS", isWide: true, cell: ({ eventCount }) => String(eventCount) },
  { heading: "PARENT", isWide: true, cell: ({ parentRunId }) => parentRunId ?? "<none>" },
];

/** Runs of one Kubernetes namespace. */
export const RUN_VIEW: View<PlacedRun> = { kind: "run", name: ({ runId }) => runId, columns: COLUMNS };

/** Runs of all. */
export const PLACED_RUN_VIEW: View<PlacedRun> = {
  ...RUN_VIEW,
  columns: [{ heading: "NAMESPACE", cell: ({ namespace }) => namespace ?? "" }, ...COLUMNS],
};

/** A parked run is running, and does not: that is what a person has to know. */
function statusOf({ status, problem }: PlacedRun): string {
  return problem === null ? status : `${status} (parked: ${problem.code})`;
}

function tookOf({ startedAt, closedAt }: PlacedRun): string {
  return closedAt === null ? "<none>" : humanDuration(Date.parse(closedAt) - Date.parse(startedAt));
}
