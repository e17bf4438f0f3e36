/**
 * Decides about one start after another, while runs of the schedule are open: it starts, waits, is left out, or ends others.
 *
 * Policies have Temporal's meaning. Canceled and terminated runs end at once, so the start that ends them is not put off.
 */
import type { Cause, StartRequest } from "./state.ts";

/** An open run that is to end. */
export interface RunEnd {
  readonly runId: string;
  readonly status: "canceled" | "terminated";
}

/** Starts that wait at most; more are left out. */
export const BUFFER_MAX = 1_000;

export class OverlapDesk {
  readonly #open: readonly string[];
  readonly #ended = new Map<string, RunEnd>();
  readonly #starts: StartRequest[] = [];
  readonly #buffer: StartRequest[] = [];
  readonly #skipped: StartRequest[] = [];
  readonly #mayStart: (cause: Cause) => boolean;

  constructor(options: {
    /** Open runs of the schedule. */
    readonly open: readonly string[];
    /** False: a start of this cause waits in the buffer, whatever its policy says. */
    mayStart(cause: Cause): boolean;
  }) {
    this.#open = options.open;
    this.#mayStart = (cause) => options.mayStart(cause);
  }

  get starts(): readonly StartRequest[] {
    return this.#starts;
  }

  get buffer(): readonly StartRequest[] {
    return this.#buffer;
  }

  get skipped(): readonly StartRequest[] {
    return this.#skipped;
  }

  get ends(): readonly RunEnd[] {
    return [...this.#ended.values()];
  }

  /** True when a run is open, or starts now. */
  get busy(): boolean {
    return this.#starts.length > 0 || this.#open.length > this.#ended.size;
  }

  /** True when a start waits for a run to end. */
  get waiting(): boolean {
    return this.#buffer.some(({ cause }) => this.#mayStart(cause));
  }

  /** Decides about a start; those that waited longest come first. */
  take(request: StartRequest): void {
    if (!this.#mayStart(request.cause)) this.#wait(request);
    else if (this.busy) this.#meet(request);
    else this.#starts.push(request);
  }

  #meet(request: StartRequest): void {
    switch (request.overlap) {
      case "AllowAll":
        this.#starts.push(request);
        return;
      case "Skip":
        this.#skipped.push(request);
        return;
      case "BufferAll":
        this.#wait(request);
        return;
      case "BufferOne":
        if (this.waiting) this.#skipped.push(request);
        else this.#wait(request);
        return;
      case "CancelOther":
        this.#replace(request, "canceled");
        return;
      case "TerminateOther":
        this.#replace(request, "terminated");
    }
  }

  #wait(request: StartRequest): void {
    if (this.#buffer.length < BUFFER_MAX) this.#buffer.push(request);
    else this.#skipped.push(request);
  }

  /** What would start now and be ended in the same moment does not start at all. */
  #replace(request: StartRequest, status: RunEnd["status"]): void {
    for (const runId of this.#open) if (!this.#ended.has(runId)) this.#ended.set(runId, { runId, status });
    this.#skipped.push(...this.#starts.splice(0));
    this.#starts.push(request);
  }
}
