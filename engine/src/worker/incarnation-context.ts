/** What an incarnation and its parts need of their worker. */
import type { Notifier } from "../store/notifier.ts";
import type { WorkerQueries } from "../store/worker-queries.ts";
import type { LoopMarks } from "./activity-executor.ts";
import type { ScheduleWatch } from "./schedule-watch.ts";
import type { ActivityFinder, QueueService, ResolvedWorkerOptions } from "./worker-options.ts";

/** @see Incarnation */
export interface IncarnationContext {
  readonly workerId: string;
  readonly options: ResolvedWorkerOptions;
  readonly queries: WorkerQueries;
  readonly notifier: Notifier;
  readonly marks: LoopMarks;
  readonly activities: ActivityFinder;
  readonly services: ReadonlyMap<string, QueueService>;
  readonly schedules: Pick<ScheduleWatch, "due" | "ended">;
  nowMs(): number;
  fatal(error: unknown): void;
}
