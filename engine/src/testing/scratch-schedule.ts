/** Schedules of a test, on a clock that the test moves. */
import { Session } from "../store/session.ts";
import type { ScheduleDefinition } from "../schedules/core/definition.ts";
import { initialState } from "../schedules/core/state.ts";
import type { ScheduleState } from "../schedules/core/state.ts";
import { ScheduleFirer } from "../schedules/schedule-firer.ts";
import type { ConnectionSource } from "../store/connection-source.ts";
import { onTestFinished } from "vitest";
import type { ScratchStore } from "./scratch-store.ts";

/** What a test says of a schedule; `when` in part. */
export type PartialDefinition = Partial<Omit<ScheduleDefinition, "when">> & {
  readonly when?: Partial<ScheduleDefinition["when"]>;
};

/** A definition that says nothing but what a test is about: every minute, in UTC, on queue "queue". */
export function definitionOf({ when, ...rest }: PartialDefinition = {}): ScheduleDefinition {
  return {
    when: {
      cron: [],
      everyMs: when?.cron === undefined ? 60_000 : null,
      offsetMs: 0,
      timeZone: "UTC",
      jitterMs: 0,
      startAtMs: null,
      endAtMs: null,
      ...when,
    },
    run: {
      workflowIdPrefix: "tick",
      workflowName: "work",
      taskQueue: "queue",
      input: null,
      options: null,
      retentionSeconds: 3_600,
    },
    overlap: "Skip",
    catchupWindowMs: 3_600_000,
    pauseOnFailure: false,
    paused: false,
    limitRuns: null,
    backfills: [],
    trigger: null,
    ...rest,
  };
}

/** @see useSchedules */
export interface ScratchSchedules {
  /** Inserts a schedule that was made at a moment. */
  add(scheduleId: string, madeAt: string, definition?: PartialDefinition): Promise<void>;
  stateOf(scheduleId: string): Promise<ScheduleState>;
  /** Moves the clock of the firers. */
  setTime(now: string): void;
  /** A firer with a connection of its own. */
  firer(source?: ConnectionSource): ScheduleFirer;
  /** Workflow ids of all runs, or of those in a status, in order. */
  runs(status?: string): Promise<string[]>;
  /** Ends a run as its worker would. */
  endRun(workflowId: string, status?: string): Promise<string>;
  readonly logged: string[];
  readonly notified: string[];
}

/** Schedules in a scratch store. */
export function useSchedules(store: ScratchStore): ScratchSchedules {
  let nowMs = 0;
  const logged: string[] = [];
  const notified: string[] = [];
  return {
    logged,
    notified,
    add: async (scheduleId, madeAt, definition = {}) => {
      const madeMs = Date.parse(madeAt);
      await store.insert("schedules", {
        schedule_id: scheduleId,
        next_at: new Date(madeMs),
        definition: JSON.stringify(definitionOf(definition)),
        state: JSON.stringify(initialState(madeMs)),
      });
    },
    stateOf: async (scheduleId) => {
      const [row] = await store.sql<{ state: string }>(
        "select state::text as state from :schema.schedules where schedule_id = $1",
        [scheduleId],
      );
      return JSON.parse(row?.state ?? "null") as ScheduleState;
    },
    setTime: (now) => {
      nowMs = Date.parse(now);
    },
    firer: (source = store.place.source) => {
      const session = new Session({ source, purpose: "test" });
      onTestFinished(() => session.close());
      return new ScheduleFirer({
        session,
        schema: store.place.schema,
        notify: (channel, payload) => notified.push(`${channel} ${payload}`),
        log: (level, message, facts) => logged.push(`${level} ${message} ${String(facts["schedule"])}`),
        nowMs: () => nowMs,
      });
    },
    runs: async (status) => {
      const rows = await store.sql<{ workflow_id: string }>(
        "select workflow_id from :schema.runs where $1::text is null or status = $1 order by workflow_id",
        [status ?? null],
      );
      return rows.map((row) => row.workflow_id);
    },
    endRun: async (workflowId, status = "completed") => {
      const [row] = await store.sql<{ run_id: string }>(
        `update :schema.runs set status = $2, ready_at = null, closed_at = now()
        where workflow_id = $1 and status = 'running' returning run_id`,
        [workflowId, status],
      );
      return row?.run_id ?? "";
    },
  };
}
