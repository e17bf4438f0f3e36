/**
 * Who did what, as JSON lines: one for each request that was decided on.
 *
 * Promises that a line names the user, and who acts as that user, never the account by which the gateway itself asks; that it
 * holds no credentials and no data of runs; that it is written before the call returns, beside the log and told from it by
 * `"log":"audit"`.
 */
import { pino } from "pino";
import type { DestinationStream } from "pino";
import type { Audit, AuditEntry } from "./index.ts";

/** Which are written: all, or all but reads that were allowed. */
export type AuditScope = "all" | "changes";

const STDOUT = 1;
/** What others name is cut to this length. */
const TEXT_CHARACTERS_MAX = 512;
const GROUPS_MAX = 32;
const READING_VERBS: readonly string[] = ["get", "list", "query", "watch"];

/**
 * Makes the audit log.
 *
 * @param destination - Default: standard output.
 */
export function makeAuditLog(
  scope: AuditScope,
  destination: DestinationStream = pino.destination({ dest: STDOUT, sync: true }),
): Audit {
  const lines = pino(
    {
      level: "info",
      messageKey: "message",
      base: { log: "audit" },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    destination,
  );
  return {
    record(entry) {
      const isQuiet = entry.outcome === "allowed" && READING_VERBS.includes(entry.access.verb);
      if (scope === "all" || !isQuiet) lines.info(lineOf(entry));
    },
  };
}

function lineOf({ subject, access, runId, workflowId, requestId, outcome, status }: AuditEntry): object {
  return {
    user: cut(subject.name),
    groups: subject.groups.slice(0, GROUPS_MAX).map((group) => cut(group)),
    via: subject.via,
    impersonatedBy: cut(subject.impersonatedBy),
    verb: access.verb,
    resource: access.resource,
    namespace: cut(access.namespace),
    name: cut(access.name),
    runId: cut(runId),
    workflowId: cut(workflowId),
    requestId: cut(requestId),
    outcome,
    status,
  };
}

function cut(text: string | undefined): string | undefined {
  return text?.slice(0, TEXT_CHARACTERS_MAX);
}
