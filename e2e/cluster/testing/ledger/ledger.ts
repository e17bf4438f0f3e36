/**
 * A ledger of a scenario: runs that write a line for each of their steps, and what can be said of their work from the lines.
 *
 * The lines tell what was really done, the store what was recorded; `findings` holds one against the other.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { resolveConnection } from "@memflow/engine";
import type { Invoke } from "@memflow/engine";
import { checkStore } from "@memflow/engine/testing";
import type { WorkflowHandle } from "@memflow/sdk";
import type { ScenarioStore } from "../store.ts";
import { keepLedger } from "./workflow.ts";
import type { LedgerJob } from "./workflow.ts";

/** A step that was begun again. */
export interface RepeatedStep {
  readonly workflowId: string;
  readonly step: number;
  /** Who began it first. */
  readonly firstHost: string;
}

/** How a run went from a worker that was asked to end to another one. */
export interface HandOver {
  readonly workflowId: string;
  /** From the SIGTERM to its next step. */
  readonly ms: number;
}

const WORKFLOW_NAME = "keepLedger";
const FILES = ["workflow.ts", "write-line.ts"] as const;
const LOOK_EVERY_MS = 50;

/** `:ledger` stands for the ledger's schema. */
const TABLES = `
  create schema :ledger;
  grant usage on schema :ledger to public;
  create table :ledger.lines (
    line bigint generated always as identity,
    at timestamptz not null default clock_timestamp(),
    workflow_id text not null,
    step integer not null,
    attempt integer not null,
    host text not null
  );
  create table :ledger.ends (host text primary key, asked_at timestamptz not null);
  grant insert on :ledger.lines, :ledger.ends to public`;

/** Of each run that the host worked on when it was asked to end, the first step that another host began after that. */
const HAND_OVERS = `
  select at_end.workflow_id as "workflowId",
    extract(epoch from next.at - ends.asked_at)::double precision * 1000 as ms
  from :ledger.ends ends
  join lateral (
    select distinct on (workflow_id) workflow_id, host from :ledger.lines
    where at <= ends.asked_at order by workflow_id, line desc
  ) at_end on at_end.host = ends.host
  join lateral (
    select at from :ledger.lines l
    where l.workflow_id = at_end.workflow_id and l.host <> ends.host and l.at > ends.asked_at order by line limit 1
  ) next on true
  where ends.host = $1`;

const REPEATED = `
  select workflow_id as "workflowId", step, (array_agg(host order by line))[1] as "firstHost"
  from :ledger.lines group by workflow_id, step having count(*) > 1`;

/** A ledger in a Store's database. */
export class Ledger {
  readonly #store: ScenarioStore;
  readonly #handles: { readonly handle: WorkflowHandle; readonly job: LedgerJob }[] = [];

  private constructor(store: ScenarioStore) {
    this.#store = store;
  }

  /** Makes its tables. */
  static async open(store: ScenarioStore): Promise<Ledger> {
    const ledger = new Ledger(store);
    await ledger.#query(TABLES);
    return ledger;
  }

  /** The Workflow that brings the code to a queue. */
  static workflow(queue: string): object {
    const files = FILES.map((name) => [name, readFileSync(join(import.meta.dirname, name), "utf8")] as const);
    return {
      apiVersion: "memflow.io/v1alpha1",
      kind: "Workflow",
      metadata: { name: Ledger.workflowResource(queue) },
      spec: {
        taskQueueRef: { name: queue },
        workflowName: WORKFLOW_NAME,
        code: { entrypoint: FILES[0], files: Object.fromEntries(files) },
      },
    };
  }

  /** The name of that Workflow. */
  static workflowResource(queue: string): string {
    return `${queue}-keep-ledger`;
  }

  /** Starts runs. */
  async start(taskQueue: string, count: number, job: LedgerJob): Promise<void> {
    for (let started = 0; started < count; started += 1) {
      const workflowId = `ledger-${this.#handles.length + 1}`;
      const options = { taskQueue, workflowName: WORKFLOW_NAME, workflowId, args: [job] };
      this.#handles.push({ handle: await this.#store.client.workflow.start(options), job });
    }
  }

  /** Counts runs that another one started, such as a schedule, among its own. */
  async adopt(workflowIds: readonly string[], job: LedgerJob): Promise<void> {
    const handles = workflowIds.map((workflowId) => this.#store.client.workflow.getHandle(workflowId));
    for (const handle of await Promise.all(handles)) this.#handles.push({ handle, job });
  }

  /** Waits until so many lines are there. */
  async untilLines(count: number, signal: AbortSignal): Promise<void> {
    const text = "select count(*)::integer as count from :ledger.lines";
    for (;;) {
      const { rows } = await this.#query(text);
      if (Number(rows[0]?.["count"]) >= count) return;
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
  }

  /** The host that works on most runs now. */
  async busiestHost(): Promise<string> {
    const { schema } = this.#store;
    const text = `
      select w.host from ${schema}.runs r join ${schema}.workers w on w.worker_id = r.owner
      where r.status = 'running' group by w.host order by count(*) desc limit 1`;
    const host = (await this.#query(text)).rows[0]?.["host"];
    if (typeof host !== "string") throw new Error(`no worker of schema "${schema}" works on a run`);
    return host;
  }

  /** Hosts with a line since a moment of the database, with the time of the first, in the order of these. */
  async linesSince(at: Date): Promise<readonly { readonly host: string; readonly at: Date }[]> {
    const text = "select host, min(at) as at from :ledger.lines where at > $1 group by host order by min(at)";
    return (await this.#query(text, [at])).rows as { host: string; at: Date }[];
  }

  /** Waits until each of these open runs has begun another step, or ended, since a moment of the database; gives when the last did. */
  async untilEachWentOn(workflowIds: readonly string[], since: Date, signal: AbortSignal): Promise<Date> {
    const text = `
      select count(at)::integer as count, max(at) as "lastAt" from (
        select least(min(l.at), r.closed_at) as at from ${this.#store.schema}.runs r
        left join :ledger.lines l on l.workflow_id = r.workflow_id and l.at > $1
        where r.workflow_id = any ($2) group by r.run_id
      ) of_run`;
    for (;;) {
      const row = (await this.#query(text, [since, workflowIds])).rows[0];
      if (row?.["count"] === workflowIds.length) return row["lastAt"] as Date;
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
  }

  /** The time of its database. */
  async now(): Promise<Date> {
    return (await this.#query("select clock_timestamp() as now")).rows[0]?.["now"] as Date;
  }

  /** How runs left a worker that was asked to end. */
  async handOversOf(host: string): Promise<readonly HandOver[]> {
    return (await this.#query(HAND_OVERS, [host])).rows as unknown as HandOver[];
  }

  /** Steps that were begun more than once. */
  async repeatedSteps(): Promise<readonly RepeatedStep[]> {
    return (await this.#query(REPEATED)).rows as unknown as RepeatedStep[];
  }

  /** Waits for all runs; gives those that ended otherwise than they should, in words. */
  async wrongResults(): Promise<readonly string[]> {
    const results = this.#handles.map(async ({ handle, job: { stepCount } }) => {
      const result: unknown = await handle.result({ throwOnError: false });
      const expected = (stepCount * (stepCount + 1)) / 2;
      return result === expected
        ? []
        : [`run "${handle.workflowId}" gave ${JSON.stringify(result)}, not ${expected}`];
    });
    return (await Promise.all(results)).flat();
  }

  /** What is lost, doubled or otherwise broken, once all runs have ended: empty when nothing is. */
  async findings(): Promise<readonly string[]> {
    const { database, schema } = this.#store;
    const invoke: Invoke = (_context, [job]) => keepLedger(job as LedgerJob);
    const found = await checkStore(
      { source: resolveConnection(database.hostUri), schema },
      {
        workflows: new Map([[WORKFLOW_NAME, invoke]]),
        acknowledged: { starts: this.#handles.map(({ handle }) => handle.runId) },
      },
    );
    return [...found, ...(await this.#missingLines())];
  }

  #query(text: string, values?: readonly unknown[]): ReturnType<ScenarioStore["database"]["query"]> {
    const { database, schema } = this.#store;
    return database.query(text.replaceAll(":ledger", `${schema}_ledger`), values);
  }

  /** Steps that were recorded and never done. */
  async #missingLines(): Promise<readonly string[]> {
    const { rows } = await this.#query(
      "select workflow_id, count(distinct step)::integer as count from :ledger.lines group by workflow_id",
    );
    const counts = new Map(rows.map((row) => [row["workflow_id"], Number(row["count"])]));
    return this.#handles.flatMap(({ handle: { workflowId }, job: { stepCount } }) =>
      counts.get(workflowId) === stepCount
        ? []
        : [`run "${workflowId}" has lines of ${counts.get(workflowId) ?? 0} steps, not ${stepCount}`],
    );
  }
}
