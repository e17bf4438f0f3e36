/**
 * Reads the inboxes of owned runs and hands their messages on.
 *
 * Promises that each message is taken once and in order, that a run which was asked for is read after it was asked, and
 * that a failed read loses nothing: a sweep asks again.
 */
import { EVENT_KIND, encodeSignalPayload } from "../core/events.ts";
import { crashPoint } from "../crash-points.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import type { Life } from "./life.ts";
import type { OwnedRun, PendingEvent } from "./owned-run.ts";
import type { InboxMessage, RunLoader } from "./run-loader.ts";
import type { RunTable } from "./run-table.ts";

/** Runs whose inboxes are read at once. */
const READ_RUNS_MAX = 5_000;

export class InboxReader {
  readonly #context: IncarnationContext;
  readonly #life: Life;
  readonly #loader: RunLoader;
  readonly #runs: RunTable;
  readonly #record: (run: OwnedRun, pending: PendingEvent) => void;
  readonly #mark: (run: OwnedRun) => void;
  readonly #toRead = new Set<OwnedRun>();
  #reading = false;

  constructor(options: {
    readonly context: IncarnationContext;
    readonly life: Life;
    readonly loader: RunLoader;
    readonly runs: RunTable;
    record(run: OwnedRun, pending: PendingEvent): void;
    mark(run: OwnedRun): void;
  }) {
    this.#context = options.context;
    this.#life = options.life;
    this.#loader = options.loader;
    this.#runs = options.runs;
    this.#record = (run, pending) => options.record(run, pending);
    this.#mark = (run) => options.mark(run);
  }

  /** The run may have messages. */
  read(run: OwnedRun): void {
    this.#toRead.add(run);
    if (this.#reading) return;
    this.#reading = true;
    void this.#readAll();
  }

  async #readAll(): Promise<void> {
    try {
      while (this.#toRead.size > 0 && this.#life.alive) {
        const runs = [...this.#toRead].filter((run) => !run.dropped).slice(0, READ_RUNS_MAX);
        for (const run of this.#toRead) if (run.dropped) this.#toRead.delete(run);
        for (const run of runs) this.#toRead.delete(run);
        if (runs.length === 0) continue;
        const { messages, unread } = await this.#loader.inbox(runs);
        if (messages.length > 0) crashPoint("inbox.read", this.#context.workerId);
        for (const message of messages) this.#receive(message);
        for (const run of unread) this.#toRead.add(run);
        await this.#haveRead(runs.slice(0, runs.length - unread.length), messages);
      }
    } catch (error) {
      if (this.#life.alive)
        this.#context.options.log("warn", "reading messages failed; a sweep will", { error: String(error) });
    } finally {
      this.#reading = false;
    }
  }

  /** These inboxes were read to their end. A wake without a message: others may have ended the run. */
  async #haveRead(runs: readonly OwnedRun[], messages: readonly InboxMessage[]): Promise<void> {
    for (const run of runs) {
      if (!run.unread) continue;
      run.unread = false;
      this.#mark(run);
    }
    const told = new Set(messages.map(({ runId }) => runId));
    const silent = runs.filter((run) => !told.has(run.id) && !run.dropped);
    if (silent.length === 0) return;
    for (const id of await this.#loader.lost(silent)) this.#runs.lose(id);
  }

  #receive(message: InboxMessage): void {
    const run = this.#runs.get(message.runId);
    if (run === undefined || run.dropped || BigInt(message.messageId) <= BigInt(run.lastMessageId)) return;
    run.lastMessageId = message.messageId;
    const { kind, position, name, messageId } = message;
    const { context } = run.machine;
    if (position !== null && position < context.basePosition) {
      run.discarded.push(messageId);
      this.#mark(run);
      return;
    }
    if (position !== null) run.activities.delete(position);
    const payload =
      kind === EVENT_KIND.signalReceived
        ? encodeSignalPayload(message.fromRunId, message.payload)
        : message.payload;
    this.#record(run, { draft: { kind, position, name, payload }, messageId });
  }
}
