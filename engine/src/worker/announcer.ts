/**
 * Tells others, and this incarnation itself, where there is something to do.
 *
 * Promises nothing: what it says may be lost, and a sweep or a poll finds it. Nobody is told of what is done here.
 */
import { channelName, queueChannel } from "../store/identifiers.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import type { FlushReply, Wake } from "./flush-lane.ts";
import type { RunContribution } from "./owned-run.ts";

/** What it tells the incarnation itself. */
export interface AnnouncerHost {
  look(): Promise<void>;
  pump(taskQueue: string, mayHaveAttempts: boolean): void;
  wake(runIds: Iterable<string>): void;
}

export class Announcer {
  readonly #context: IncarnationContext;
  readonly #host: AnnouncerHost;

  constructor(context: IncarnationContext, host: AnnouncerHost) {
    this.#context = context;
    this.#host = host;
  }

  /** A queue has work: now, or (`later`) when it is due. */
  announce(taskQueue: string, what: "runs" | "activities" | "later"): void {
    const { notifier, options, services } = this.#context;
    notifier.notify(queueChannel(options.schema, taskQueue), what);
    if (!services.has(taskQueue)) return;
    if (what === "later") void this.#host.look();
    else this.#host.pump(taskQueue, what === "activities");
  }

  /** Children, hooks and queued attempts are somebody's work now. */
  announceNewWork(contribution: RunContribution): void {
    for (const { command } of contribution.pendings) {
      if (command?.kind === "child" || command?.kind === "hook")
        this.announce(command.taskQueue, command.delayMs > 0 ? "later" : "runs");
    }
    for (const write of contribution.writes)
      if (write.state === "queued") this.announce(write.taskQueue, "activities");
  }

  /** Tells those whom a flush's reply names. */
  tell(reply: FlushReply): void {
    const { notifier, options, schedules } = this.#context;
    const ofSchedules = channelName(options.schema, "schedules", "");
    for (const watch of [reply.watch, reply.extra?.watch]) {
      for (const [channel, runIds] of Object.entries(watch ?? {})) {
        // One of those who are told is enough for them, and that is this worker.
        if (channel === ofSchedules) {
          schedules.ended(runIds);
          continue;
        }
        for (const runId of runIds) notifier.notify(channel, runId);
      }
    }
    this.wakeAll(reply.extra?.wake ?? []);
    this.#host.wake(reply.extra?.inbox ?? []);
  }

  /** Runs have messages. */
  wakeAll(wakes: readonly Wake[]): void {
    const { notifier, options, workerId } = this.#context;
    for (const { run, owner, queue } of wakes) {
      if (owner === workerId) this.#host.wake([run]);
      else if (typeof owner === "string") notifier.notify(channelName(options.schema, "worker", owner), run);
      else if (typeof queue === "string") this.announce(queue, "runs");
    }
  }
}
