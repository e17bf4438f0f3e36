/**
 * Runs by what is known of them: in pages, in an order, or counted.
 *
 * Promises that pages which follow each other show each run once that was there from the first to the last, and that the text
 * is made of the fragments below alone: values are parameters. Runs are in the order of their ids, which begin with the time
 * of their start; by the time of their end they are sorted, since an index on it would cost each run that ends.
 */
import { SearchError } from "../core/errors.ts";
import { runColumns } from "../store/client-queries.ts";
import { quoteIdentifier } from "../store/identifiers.ts";
import type { Statement } from "../store/session.ts";
import { codeOf } from "../store/sql-errors.ts";

/** Which runs; hooks are left out. Times are milliseconds since 1970: `After` includes its time, `Before` does not. */
export interface RunFilter {
  readonly status?: string | undefined;
  readonly workflowName?: string | undefined;
  /** Any of these; left out for all. */
  readonly taskQueues?: readonly string[] | undefined;
  readonly workflowIdPrefix?: string | undefined;
  readonly startedAfterMs?: number | undefined;
  readonly startedBeforeMs?: number | undefined;
  readonly closedAfterMs?: number | undefined;
  readonly closedBeforeMs?: number | undefined;
  /** Search data that a run must have. */
  readonly search?: Readonly<Record<string, string>> | undefined;
}

/** In which order; by `closedAt` there are ended runs only. */
export interface RunOrder {
  readonly by: "startedAt" | "closedAt";
  readonly descending: boolean;
}

/** Where a page ends: the next one begins after it. */
export interface RunPlace {
  readonly runId: string;
  /** As the database writes it; null unless the order is by it. */
  readonly closedAt: string | null;
}

/** Which page. */
export interface RunPageQuery {
  readonly filter: RunFilter;
  readonly order: RunOrder;
  readonly limit: number;
  readonly after?: RunPlace | undefined;
}

/** A list that takes longer is refused: nobody else's reads wait for it. */
const LIST_TIMEOUT_MS = 5_000;
/** What the session of lists sets. */
export const LIST_SETTINGS: Readonly<Record<string, string>> = { statement_timeout: String(LIST_TIMEOUT_MS) };
/** Postgres's own limit is to end it first. */
const ANSWER_TIMEOUT_MS = 2 * LIST_TIMEOUT_MS;
/** How far clocks of those who start runs may be from the database's: ids are looked for so far from a time. */
const CLOCK_SKEW_MS = 86_400_000;
const UUID_TIME_MAX_MS = 2 ** 48 - 1;

/** The statement of one page; its last column says where it ends. */
export function listStatement(schema: string, { filter, order, limit, after }: RunPageQuery): Statement {
  const values: unknown[] = [];
  const conditions = conditionsOf(schema, filter, values);
  const parameter = parameterOf(values);
  const direction = order.descending ? "desc" : "asc";
  const follows = order.descending ? "<" : ">";
  if (order.by === "closedAt") conditions.push("r.closed_at is not null");
  if (after !== undefined)
    conditions.push(
      order.by === "closedAt"
        ? `(r.closed_at, r.run_id) ${follows} (${parameter(after.closedAt, "timestamptz")}, ${parameter(after.runId, "uuid")})`
        : `r.run_id ${follows} ${parameter(after.runId, "uuid")}`,
    );
  const keys =
    order.by === "closedAt" ? `r.closed_at ${direction}, r.run_id ${direction}` : `r.run_id ${direction}`;
  return {
    text: `select ${runColumns(schema)}, ${order.by === "closedAt" ? "r.closed_at::text" : "null"} as place
      from ${quoteIdentifier(schema)}.runs r
      where ${conditions.join(" and ")}
      order by ${keys}
      limit ${parameter(limit, "integer")}`,
    values,
    timeoutMs: ANSWER_TIMEOUT_MS,
  };
}

/** The statement that counts. */
export function countStatement(schema: string, filter: RunFilter): Statement {
  const values: unknown[] = [];
  const conditions = conditionsOf(schema, filter, values);
  return {
    text: `select count(*)::double precision as count from ${quoteIdentifier(schema)}.runs r where ${conditions.join(" and ")}`,
    values,
    timeoutMs: ANSWER_TIMEOUT_MS,
  };
}

/** What is said of a list that took too long. */
export function asListError(error: unknown): unknown {
  if (codeOf(error) !== "57014") return error;
  return new SearchError("SEARCH_TIMEOUT", {
    message: `the list took longer than ${LIST_TIMEOUT_MS} ms; narrow it by time, status, workflow or queue`,
    cause: error,
  });
}

function conditionsOf(schema: string, filter: RunFilter, values: unknown[]): string[] {
  const parameter = parameterOf(values);
  const conditions = ["not r.hook"];
  const { status, workflowName, taskQueues, workflowIdPrefix, search } = filter;
  if (status !== undefined) conditions.push(`r.status = ${parameter(status, "text")}`);
  if (workflowName !== undefined) conditions.push(`r.workflow_name = ${parameter(workflowName, "text")}`);
  if (taskQueues !== undefined) conditions.push(`r.task_queue = any (${parameter(taskQueues, "text[]")})`);
  if (workflowIdPrefix !== undefined)
    conditions.push(`r.workflow_id ^@ ${parameter(workflowIdPrefix, "text")}`);
  conditions.push(...timeConditions(filter, parameter));
  if (search !== undefined && Object.keys(search).length > 0) {
    conditions.push(`exists (
      select from ${quoteIdentifier(schema)}.entities e
      where e.entity_id = r.run_id and e.search @> ${parameter(JSON.stringify(search), "jsonb")}
    )`);
  }
  return conditions;
}

type Parameter = (value: unknown, type: string) => string;

function timeConditions(filter: RunFilter, parameter: Parameter): string[] {
  const { startedAfterMs, startedBeforeMs, closedAfterMs, closedBeforeMs } = filter;
  const conditions: string[] = [];
  const time = (ms: number): string => `to_timestamp(${parameter(ms / 1_000, "double precision")})`;
  if (startedAfterMs !== undefined) {
    conditions.push(`r.started_at >= ${time(startedAfterMs)}`);
    conditions.push(`r.run_id >= ${parameter(firstIdOf(startedAfterMs - CLOCK_SKEW_MS), "uuid")}`);
  }
  if (startedBeforeMs !== undefined) {
    conditions.push(`r.started_at < ${time(startedBeforeMs)}`);
    conditions.push(`r.run_id < ${parameter(firstIdOf(startedBeforeMs + CLOCK_SKEW_MS), "uuid")}`);
  }
  if (closedAfterMs !== undefined) conditions.push(`r.closed_at >= ${time(closedAfterMs)}`);
  if (closedBeforeMs !== undefined) conditions.push(`r.closed_at < ${time(closedBeforeMs)}`);
  return conditions;
}

/** The least id of version 7 that a run of this time could have. */
function firstIdOf(ms: number): string {
  const hex = Math.min(Math.max(Math.floor(ms), 0), UUID_TIME_MAX_MS)
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

function parameterOf(values: unknown[]): Parameter {
  return (value, type) => {
    values.push(value);
    return `$${values.length}::${type}`;
  };
}
