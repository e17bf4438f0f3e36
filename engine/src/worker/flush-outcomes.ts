/**
 * What becomes of runs when their flush has come to an end: committed, or refused.
 *
 * Promises that a run goes on only with what is committed, that one which lost its fence is dropped, and that one part
 * which Postgres refuses for good fails its command, never the other runs.
 */
import { EVENT_KIND } from "../core/events.ts";
import type { HistoryEvent } from "../core/events.ts";
import { encodeFailure } from "../core/failure.ts";
import { crashPoint } from "../crash-points.ts";
import type { Announcer } from "./announcer.ts";
import { contributionFailure } from "./contribution-failure.ts";
import type { Effects } from "./effects.ts";
import type { FlushReply } from "./flush-lane.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import type { Life } from "./life.ts";
import type { OwnedRun, PendingEvent, RunContribution } from "./owned-run.ts";
import type { RunDriver } from "./run-driver.ts";
import { logParked } from "./run-intake.ts";
import type { RunTable } from "./run-table.ts";

export class FlushOutcomes {
  readonly #context: IncarnationContext;
  readonly #life: Life;
  readonly #runs: RunTable;
  readonly #driver: RunDriver;
  readonly #announcer: Announcer;
  readonly #effects: Effects;
  readonly #host: FlushOutcomesHost;

  constructor(options: {
    readonly context: IncarnationContext;
    readonly life: Life;
    readonly runs: RunTable;
    readonly driver: RunDriver;
    readonly announcer: Announcer;
    readonly effects: Effects;
    readonly host: FlushOutcomesHost;
  }) {
    this.#context = options.context;
    this.#life = options.life;
    this.#runs = options.runs;
    this.#driver = options.driver;
    this.#announcer = options.announcer;
    this.#effects = options.effects;
    this.#host = options.host;
  }

  /** These parts are committed; to be called in a macrotask. */
  committed(contributions: readonly RunContribution[], reply: FlushReply): void {
    const lost = new Set(reply.lost ?? []);
    const patches = patchesOf(reply);
    for (const contribution of contributions) {
      const { run } = contribution;
      if (lost.has(run.id)) {
        if (this.#runs.get(run.id) === run) this.#runs.lose(run.id);
        else this.#driver.drop(run, "the run has another owner");
      } else if (!run.dropped) {
        this.#recorded(contribution, patches);
      }
    }
    this.#announcer.tell(reply);
    crashPoint("flush.applied", this.#context.workerId);
  }

  /** Postgres refuses one run's part for good: its command fails with the reason. */
  refused(first: RunContribution, error: unknown): void {
    const { run } = first;
    if (run.dropped) return;
    this.#context.options.log("warn", "Postgres refused what a run wanted to record", {
      runId: run.id,
      error: String(error),
    });
    if (isHistoryAhead(error)) {
      // After a crash of Postgres took back its claim, this owner claimed the run again while an older flush of its own
      // was still under way: history holds events that it does not know. The run is given back and replayed.
      this.#runs.lose(run.id);
      this.#host.distrust();
      return;
    }
    const failure = encodeFailure(contributionFailure(error));
    const [only] = run.pending;
    if (first.events.length > 1 || (first.events.length === 1 && first.end !== undefined)) {
      run.oneByOne = true;
    } else if (only !== undefined && first.events.length === 1 && canFail(only)) {
      const { position, name } = only.draft;
      const draft = { kind: EVENT_KIND.commandFailed, position, name, payload: JSON.stringify(failure) };
      run.pending[0] = { draft, ...(only.messageId === undefined ? {} : { messageId: only.messageId }) };
    } else if (first.end?.status === "completed") {
      run.end = { status: "failed", result: null, failure };
    } else {
      run.problem = { name: failure.name, code: "ENGINE_ERROR", message: failure.message };
      run.releasing = true;
      logParked(this.#context, run, error);
    }
    this.#host.mark(run);
  }

  #recorded(contribution: RunContribution, patches: ReadonlyMap<string, EventPatch>): void {
    const { run } = contribution;
    run.eventCount = contribution.eventCount;
    if (contribution.events.length > 0) run.blamed = false;
    if (contribution.events.length === run.pending.length) run.pending.length = 0;
    else run.pending.splice(0, contribution.events.length);
    run.recorded.busy = contribution.busy;
    run.recorded.wakeAtMs = contribution.wakeAtMs;
    for (const { position, signalId } of contribution.waits) {
      run.newWaits.delete(position);
      run.waitRows.set(position, signalId);
    }
    for (const { position } of contribution.waitsDone) run.waitRows.delete(position);
    if (contribution.snapshot !== undefined) {
      run.snapshotNo = contribution.snapshot.no;
      run.snapshotBytes = contribution.snapshot.document.length + contribution.snapshot.search.length;
      run.changedBytes = 0;
    }
    this.#announcer.announceNewWork(contribution);
    this.#effects.recorded(contribution);
    if (contribution.end !== undefined || contribution.release !== undefined) {
      const { taskQueue } = run.facts;
      if (this.#life.draining) this.#announcer.announce(taskQueue, "runs");
      if (contribution.release !== undefined && contribution.wakeAtMs !== null)
        this.#announcer.announce(taskQueue, "later");
      this.#driver.drop(run, "the run has ended");
      this.#runs.remove(run);
      return;
    }
    for (const write of contribution.writes) if (write.thenStart) this.#driver.written(run, write.position);
    if (contribution.events.length > 0) this.#driver.committed(run, patched(contribution, patches));
  }
}

/** What it needs of the incarnation. */
export interface FlushOutcomesHost {
  /** The run has something to record. */
  mark(run: OwnedRun): void;
  /** What is owned may not be what is known. */
  distrust(): void;
}

/** What a flush found out about an event that it wrote. */
interface EventPatch {
  readonly kind?: number;
  readonly entityNo?: number;
  readonly payload?: string;
}

function patchesOf(reply: FlushReply): ReadonlyMap<string, EventPatch> {
  const patches = new Map<string, EventPatch>();
  for (const { run, no, kind } of reply.extra?.started ?? []) patches.set(`${run}/${no}`, { kind });
  for (const { run, no, kind, payload } of reply.extra?.noted ?? [])
    patches.set(`${run}/${no}`, { kind, payload: JSON.stringify(payload) });
  for (const { run, no, entity_no: entityNo } of reply.extra?.numbers ?? [])
    patches.set(`${run}/${no}`, { entityNo });
  return patches;
}

function patched(
  { run, events, pendings }: RunContribution,
  patches: ReadonlyMap<string, EventPatch>,
): readonly HistoryEvent[] {
  if (patches.size === 0) return events;
  return events.map((event, index) => {
    const patch = patches.get(`${run.id}/${event.eventNo}`);
    if (patch === undefined) return event;
    const command = pendings[index]?.command;
    return {
      ...event,
      kind: (patch.kind ?? event.kind) as HistoryEvent["kind"],
      entityNo: patch.entityNo ?? event.entityNo,
      payload:
        patch.payload ??
        (command?.kind === "child" || command?.kind === "hook"
          ? JSON.stringify({ runId: command.runId, workflowId: command.workflowId })
          : event.payload),
    };
  });
}

/** Whether the command behind an event can be told that it failed; an event that says so already can't. */
function canFail({ draft }: PendingEvent): boolean {
  return draft.position !== null && draft.kind !== EVENT_KIND.commandFailed;
}

/** True when an event of this number stands already. */
function isHistoryAhead(error: unknown): boolean {
  return (error as { readonly constraint?: unknown }).constraint === "events_pkey";
}
