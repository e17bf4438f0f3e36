/**
 * Shows the steps of a run, and of its hooks and children, as they are recorded.
 *
 * An aside: what can't be shown is said once, and never fails a wait. It ends with the run, or when it is aborted.
 */
import { followHistory } from "@memflow/gateway/client";
import type { HistoryEvent, Run } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import type { GatewayConnection } from "../connect/connection.ts";
import { describeStep } from "../show/describe-step.ts";

/** Which run, and since when its steps are counted. */
export interface ProgressOptions {
  readonly runId: string;
  readonly workflow: string;
  readonly startedAtMs: number;
  readonly signal: AbortSignal;
}

const SECONDS_CHARACTERS = 8;
/** After these there is a run that was not followed yet. */
const BIRTHS = ["child_started", "hook_started"];
/** Each has a connection of its own. */
const FOLLOWED_MAX = 20;

/** Shows them to the end of the run. */
export async function showProgress(session: CommandSession, options: ProgressOptions): Promise<void> {
  const progress = new Progress(session, await session.connect(), options);
  try {
    await progress.show();
  } catch (error) {
    if (!options.signal.aborted) {
      session.say(`(no more progress: ${error instanceof Error ? error.message : String(error)})`);
    }
  }
}

class Progress {
  readonly #session: CommandSession;
  readonly #connection: GatewayConnection;
  readonly #options: ProgressOptions;
  /** Of each run that is followed, what ends that. */
  readonly #followed = new Map<string, AbortController>();
  readonly #others: Promise<void>[] = [];
  #nameCharacters: number;

  constructor(session: CommandSession, connection: GatewayConnection, options: ProgressOptions) {
    this.#session = session;
    this.#connection = connection;
    this.#options = options;
    this.#nameCharacters = options.workflow.length;
  }

  async show(): Promise<void> {
    const { runId, workflow } = this.#options;
    this.#followed.set(runId, new AbortController());
    try {
      await this.#follow(runId, workflow);
      // What has ended by now is told to its end; what outlives the run is its own affair.
      for (const run of await this.#followOthers()) {
        if (run.status === "running") this.#followed.get(run.runId)?.abort();
      }
      await Promise.all(this.#others);
    } finally {
      for (const following of this.#followed.values()) following.abort();
      await Promise.all(this.#others);
    }
  }

  async #follow(runId: string, workflow: string): Promise<void> {
    const { client, namespace, store } = this.#connection;
    const signal = AbortSignal.any([this.#options.signal, this.#endOf(runId)]);
    for await (const told of followHistory(client, { namespace, store, runId, signal })) {
      if (told.kind === "end") return;
      this.#tell(told.event, workflow);
      if (BIRTHS.includes(told.event.kind)) await this.#followOthers();
    }
  }

  /** The whole family as it is now; each of it is followed from now on. */
  async #followOthers(): Promise<readonly Run[]> {
    const { client, namespace, store } = this.#connection;
    const { runId } = this.#options;
    const { body } = await client.call("getFamily", { path: { namespace, runId }, query: { store } });
    for (const run of body.runs) {
      if (this.#followed.has(run.runId) || this.#followed.size >= FOLLOWED_MAX) continue;
      this.#followed.set(run.runId, new AbortController());
      this.#others.push(
        this.#follow(run.runId, run.workflow).catch((error: unknown) => this.#excuse(run.runId, error)),
      );
    }
    return body.runs;
  }

  #endOf(runId: string): AbortSignal {
    const following = this.#followed.get(runId);
    if (following === undefined) throw new TypeError(`run "${runId}" is not followed`);
    return following.signal;
  }

  /** A child that is not told to its end is no reason to stop telling of the run. */
  #excuse(runId: string, error: unknown): void {
    if (this.#endOf(runId).aborted || this.#options.signal.aborted) return;
    this.#session.say(`(a child is not followed: ${error instanceof Error ? error.message : String(error)})`);
  }

  #tell(event: HistoryEvent, workflow: string): void {
    const step = describeStep({ ...event, payload: event.payload });
    if (step === undefined) return;
    const { terminal } = this.#session;
    const seconds = ((event.atMs - this.#options.startedAtMs) / 1_000)
      .toFixed(2)
      .padStart(SECONDS_CHARACTERS);
    this.#nameCharacters = Math.max(this.#nameCharacters, workflow.length);
    const name = terminal.paint("name", workflow.padEnd(this.#nameCharacters));
    terminal.line(`${seconds} s  ${name}  ${terminal.paint(step.tone, step.text)}`);
  }
}
