/**
 * Reads what the machines of runs need of their entities.
 *
 * Promises that a run which asked for its memory gets it, for as long as the database may come back.
 */
import { setTimeout as delay } from "node:timers/promises";

import { classifySqlError } from "../store/sql-errors.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import type { Life } from "./life.ts";
import type { OwnedRun } from "./owned-run.ts";
import type { RunDriver } from "./run-driver.ts";
import type { RunLoader } from "./run-loader.ts";

/** Between two tries to read what a run can't do without. */
const READ_AGAIN_MS = 200;

/** First and last number of the changes that a run needs. */
type Span = readonly [number, number];

export class EntityFeeder {
  readonly #context: IncarnationContext;
  readonly #life: Life;
  readonly #loader: RunLoader;
  readonly #driver: RunDriver;
  readonly #toFeed = new Map<OwnedRun, Span>();
  #feeding = false;

  constructor(options: {
    readonly context: IncarnationContext;
    readonly life: Life;
    readonly loader: RunLoader;
    readonly driver: RunDriver;
  }) {
    this.#context = options.context;
    this.#life = options.life;
    this.#loader = options.loader;
    this.#driver = options.driver;
  }

  /** Reads these changes of the run's entity and gives them to the driver. */
  feed(run: OwnedRun, span: Span): void {
    this.#toFeed.set(run, span);
    if (this.#feeding) return;
    this.#feeding = true;
    void this.#feedAll();
  }

  async #feedAll(): Promise<void> {
    while (this.#toFeed.size > 0 && this.#life.alive) {
      const asked = [...this.#toFeed].filter(([run]) => !run.dropped);
      this.#toFeed.clear();
      if (asked.length > 0) await this.#feedThese(asked);
    }
    this.#feeding = false;
  }

  /** Without its memory a run can't go on: it is read for as long as the database may come back. */
  async #feedThese(asked: readonly (readonly [OwnedRun, Span])[]): Promise<void> {
    try {
      const changes = await this.#loader.changes(
        asked.map(([run, [first, last]]) => ({ entityId: run.facts.entityId, first, last })),
      );
      await this.#life.inMacrotask(() => {
        for (const [run] of asked) this.#driver.fed(run, changes.get(run.facts.entityId) ?? []);
      });
    } catch (error) {
      if (!this.#life.alive) return;
      if (classifySqlError(error) !== "transient") {
        this.#context.fatal(error);
        return;
      }
      this.#context.options.log("warn", "reading the memory of runs failed and is tried again", {
        error: String(error),
      });
      for (const [run, span] of asked) this.#toFeed.set(run, span);
      await delay(READ_AGAIN_MS);
    }
  }
}
