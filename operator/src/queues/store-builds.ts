/**
 * What the operator asks and tells one Store's database about builds: routes, open runs, gates.
 *
 * Promises that all queues that ask at the same time are one statement, which began after each of them asked: who has just written
 * reads what it wrote.
 */
import {
  newId,
  normalizeRetryPolicy,
  queueChannel,
  quoteIdentifier,
  readBuildRuns,
  setQueueBuilds,
  terminateRuns,
  toStoreError,
} from "@memflow/engine/provision";
import type { BuildRuns, Statement } from "@memflow/engine/provision";
import type { ConnectedStore } from "../api/index.ts";
import { gateWorkflowIdPrefix } from "./build-names.ts";
import type { GateEnd, GateRun, Route } from "./core/rollout-facts.ts";

/** What the database knows of a queue's builds. */
export interface BuildsLook {
  readonly routes: readonly Route[];
  readonly pinning: Pinning | undefined;
  /** By build id; builds without open runs are left out. Undefined when nobody asked. */
  readonly openRuns: ReadonlyMap<string, OpenRuns> | undefined;
}

export type Pinning = "Pinned" | "AutoUpgrade";

/** Open runs that stay with one build, counted up to 10,000. */
export interface OpenRuns {
  readonly openRuns: number;
  /** Of them, those that no worker has. */
  readonly unowned: number;
}

/** The run of a gate. */
export interface GateStart {
  readonly workflowId: string;
  readonly workflowName: string;
  readonly queueName: string;
  readonly buildId: string;
  readonly input: unknown;
}

/** How the run of a gate ends that is not waited for any more. */
class GateEndedError extends Error {
  readonly code: "GATE_TIMED_OUT" | "GATE_GIVEN_UP";

  constructor(queueName: string, { buildId, why }: GateEnd) {
    const isLate = why === "TimedOut";
    const fate = isLate ? "took longer than it may" : "is not waited for any more";
    super(`the gate of build "${buildId}" of queue "${queueName}" ${fate}`);
    this.name = "GateEndedError";
    this.code = isLate ? "GATE_TIMED_OUT" : "GATE_GIVEN_UP";
  }
}

const STATEMENT_TIMEOUT_MS = 8_000;
/** A gate is there to find failures: what fails once is not tried until it passes. */
const ONE_ATTEMPT = normalizeRetryPolicy({ maximumAttempts: 1 }, "gate");

interface RouteRow {
  readonly task_queue: string;
  readonly build_id: string;
  readonly role: Route["role"];
  readonly share_percent: number;
  readonly pinning: Pinning;
}

interface GateRow {
  readonly status: string;
  readonly age_ms: number;
  readonly failure: string | null;
  readonly code: string | null;
}

/** All queues that asked, and what they will hear. */
interface Batch {
  readonly names: Set<string>;
  /** Of them, those whose open runs are to be counted. */
  readonly counted: Set<string>;
  readonly answer: Promise<(queueName: string) => BuildsLook>;
}

/** One Store's builds, during one leadership. */
export class StoreBuilds {
  readonly #store: ConnectedStore;
  readonly #schema: string;
  readonly #fencingToken: number;
  #isClaimed = false;
  #waiting: Batch | undefined;
  #running: Promise<unknown> = Promise.resolve();

  /** @param fencingToken - Of this leadership: from the first look on, an older one is refused. */
  constructor(store: ConnectedStore, fencingToken: number) {
    this.#store = store;
    this.#fencingToken = fencingToken;
    this.#schema = quoteIdentifier(store.schema);
  }

  /**
   * Looks at a queue.
   *
   * @param isCounted - Whether open runs are to be counted: a queue with one build alone has no use for it.
   */
  async look(queueName: string, isCounted: boolean): Promise<BuildsLook> {
    const batch = (this.#waiting ??= this.#makeBatch());
    batch.names.add(queueName);
    if (isCounted) batch.counted.add(queueName);
    const find = await batch.answer;
    return find(queueName);
  }

  /**
   * Says which builds a queue has, and with AutoUpgrade lets go of the runs that are pinned to draining ones; refused once a newer
   * leader has looked.
   */
  async writeRoutes(
    queueName: string,
    { routes, pinning }: { readonly routes: readonly Route[]; readonly pinning: Pinning },
  ): Promise<void> {
    const { session, schema, source } = this.#store;
    const set = { taskQueue: queueName, pinning, builds: routes, fence: this.#fencingToken };
    try {
      await setQueueBuilds(session, schema, set);
    } catch (error) {
      throw toStoreError(error, source);
    }
  }

  /** How a gate's run fares. */
  async lookAtGate(workflowId: string, nowMs: number): Promise<GateRun> {
    const [row] = await this.#ask<GateRow>({
      text: `
        select r.status, extract(epoch from clock_timestamp() - r.started_at)::double precision * 1000 as age_ms,
          coalesce(r.failure ->> 'message', r.status) as failure, r.failure ->> 'code' as code
        from ${this.#schema}.workflow_ids w join ${this.#schema}.runs r on r.run_id = w.run_id
        where w.workflow_id = $1`,
      values: [workflowId],
    });
    // What was given up is asked anew when it is wanted again.
    if (row === undefined || row.code === ("GATE_GIVEN_UP" satisfies GateEndedError["code"])) {
      return { state: "NotStarted" };
    }
    if (row.code === ("GATE_TIMED_OUT" satisfies GateEndedError["code"])) return { state: "TimedOut" };
    if (row.status === "running") return { state: "Running", startedMs: nowMs - Math.max(0, row.age_ms) };
    if (row.status === "completed") return { state: "Completed" };
    return { state: "Failed", message: row.failure ?? row.status };
  }

  /** Starts the run of a gate, which no other build may claim; one of its workflow id that is open stays the only one. */
  async startGate({ workflowId, workflowName, queueName, buildId, input }: GateStart): Promise<void> {
    const run = {
      run: newId(),
      workflow_id: workflowId,
      workflow_name: workflowName,
      task_queue: queueName,
      build_id: buildId,
      input: input === undefined ? [] : [input],
      options: { retry: ONE_ATTEMPT },
    };
    await this.#ask({
      text: `select count(*) from ${this.#schema}.insert_runs($1::json)`,
      values: [JSON.stringify([run])],
    });
    await this.#ask({
      text: "select pg_notify($1, '')",
      values: [queueChannel(this.#store.schema, queueName)],
    });
  }

  /** Ends what the gates of a build have started, and what that has started. */
  async endGates(queueName: string, end: GateEnd): Promise<void> {
    const rows = await this.#ask<{ readonly run_id: string }>({
      text: `
        with recursive line as (
          select r.run_id, r.workflow_id, r.parent_run_id
          from ${this.#schema}.runs r
          where r.task_queue = $1 and r.build_id = $2 and r.status = 'running'
          union
          select line.run_id, r.workflow_id, r.parent_run_id
          from line
          join ${this.#schema}.runs r on r.run_id = line.parent_run_id
        )
        select distinct line.run_id from line where starts_with(line.workflow_id, $3)`,
      values: [queueName, end.buildId, gateWorkflowIdPrefix(queueName, end.buildId)],
    });
    const runIds = rows.map((row) => row.run_id);
    if (runIds.length === 0) return;
    const { session, schema, source } = this.#store;
    try {
      await terminateRuns(session, schema, { runIds, failure: new GateEndedError(queueName, end) });
    } catch (error) {
      throw toStoreError(error, source);
    }
  }

  #makeBatch(): Batch {
    const names = new Set<string>();
    const counted = new Set<string>();
    const answer = this.#running.then(() => {
      this.#waiting = undefined;
      return this.#lookAtAll([...names], [...counted]);
    });
    // Who asked hears of a failure; whoever is next begins anew.
    this.#running = answer.catch(() => undefined);
    return { names, counted, answer };
  }

  async #lookAtAll(
    names: readonly string[],
    counted: readonly string[],
  ): Promise<(queueName: string) => BuildsLook> {
    await this.#claim();
    const rows = await this.#ask<RouteRow>({
      text: `
        select q.task_queue, q.build_id, q.role, q.share_percent, q.pinning
        from ${this.#schema}.queue_builds q
        where q.task_queue = any ($1)
        order by q.build_id`,
      values: [names],
    });
    // After the routes: a build that gets no new runs by them has no others than those that are counted now.
    const openRows = counted.length === 0 ? [] : await this.#countOpenRuns();
    const routes = Map.groupBy(rows, (row) => row.task_queue);
    const openRuns = Map.groupBy(openRows, ({ taskQueue }) => taskQueue);
    return (name) => ({
      routes: (routes.get(name) ?? []).map(routeOf),
      pinning: routes.get(name)?.[0]?.pinning,
      openRuns: counted.includes(name) ? openRunsOf(openRuns.get(name) ?? []) : undefined,
    });
  }

  /** Before anything is decided: a leader that finds nothing to write must be known to have followed the last one too. */
  async #claim(): Promise<void> {
    if (this.#isClaimed) return;
    const text = `select ${this.#schema}.assert_leader('builds', $1)`;
    await this.#ask({ text, values: [this.#fencingToken] });
    this.#isClaimed = true;
  }

  async #countOpenRuns(): Promise<readonly BuildRuns[]> {
    const { session, schema, source } = this.#store;
    try {
      return await readBuildRuns(session, schema);
    } catch (error) {
      throw toStoreError(error, source);
    }
  }

  async #ask<Row extends object>(statement: Statement): Promise<readonly Row[]> {
    try {
      const { rows } = await this.#store.session.query<Row>({
        ...statement,
        timeoutMs: STATEMENT_TIMEOUT_MS,
      });
      return rows;
    } catch (error) {
      throw toStoreError(error, this.#store.source);
    }
  }
}

function routeOf({ build_id: buildId, role, share_percent: sharePercent }: RouteRow): Route {
  return { buildId, role, sharePercent };
}

function openRunsOf(rows: readonly BuildRuns[]): ReadonlyMap<string, OpenRuns> {
  return new Map(
    rows.map(({ buildId, openRuns, unownedRuns }) => [buildId, { openRuns, unowned: unownedRuns }]),
  );
}
