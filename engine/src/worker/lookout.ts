/**
 * Looks for work that nobody told of: what is ready, and what will be.
 *
 * Promises one statement a look, for all queues together; and that runs and attempts without an owner are claimed when
 * they are due, as far as somebody said that there are some, or a look has seen them.
 */
import { DueTimer } from "./due-timer.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import type { Life } from "./life.ts";
import type { ReadyWork, RunLoader } from "./run-loader.ts";

/** The least time between two looks for what is due: many timers of many runs are not worth one look each. */
const LOOK_AGAIN_MS = 50;

export class Lookout {
  readonly #context: IncarnationContext;
  readonly #life: Life;
  readonly #loader: RunLoader;
  readonly #found: (work: ReadyWork) => void;
  readonly #timer: DueTimer;
  #looking: "no" | "once" | "again" = "no";
  #nextDueMs: number | undefined;

  constructor(options: {
    readonly context: IncarnationContext;
    readonly life: Life;
    readonly loader: RunLoader;
    /** Something is ready. */
    found(work: ReadyWork): void;
  }) {
    this.#context = options.context;
    this.#life = options.life;
    this.#loader = options.loader;
    this.#found = (work) => options.found(work);
    this.#timer = new DueTimer({
      nowMs: () => options.context.nowMs(),
      nextDueMs: () => this.#nextDueMs,
      fire: () => {
        this.#nextDueMs = undefined;
        void this.look();
      },
    });
  }

  /** Looks now, or once more after the look that is under way. */
  async look(): Promise<void> {
    if (this.#looking !== "no") {
      this.#looking = "again";
      return;
    }
    try {
      do {
        this.#looking = "once";
        if (this.#life.working) await this.#lookOnce();
      } while (this.#wanted);
    } catch (error) {
      const facts = { error: String(error) };
      if (this.#life.alive) this.#context.options.log("warn", "looking for work failed; a poll will", facts);
    } finally {
      this.#looking = "no";
    }
  }

  stop(): void {
    this.#timer.stop();
  }

  get #wanted(): boolean {
    return this.#looking === "again" && this.#life.working;
  }

  async #lookOnce(): Promise<void> {
    const work = await this.#loader.readyWork(this.#served());
    const nowMs = this.#context.nowMs();
    let dueInMs = Infinity;
    for (const item of work) {
      if (item.ready) this.#found(item);
      dueInMs = Math.min(dueInMs, item.dueInMs ?? Infinity);
    }
    this.#nextDueMs = dueInMs === Infinity ? undefined : nowMs + Math.max(LOOK_AGAIN_MS, dueInMs);
    this.#timer.arm();
  }

  /** Every workflow and activity of every queue, in pairs. */
  #served(): Parameters<RunLoader["readyWork"]>[0] {
    const { activities, services } = this.#context;
    const all = [...services.values()];
    const runs = all.flatMap(({ taskQueue, workflows }) =>
      [...workflows.keys()].map((name) => [taskQueue, name] as const),
    );
    const attempts = all.flatMap(({ taskQueue }) =>
      activities.names(taskQueue).map((name) => [taskQueue, name] as const),
    );
    return { runs, attempts };
  }
}
