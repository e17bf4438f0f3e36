/**
 * Workflow code that a replay could not repeat, found while it runs or when its history is read again.
 */
import { MemFlowError } from "./memflow-error.ts";

/** Workflow code did something whose outcome no history keeps. Not retried. */
export class DeterminismViolation extends MemFlowError {
  declare readonly code: "DETERMINISM_VIOLATION";
  /** The call, such as `fetch` or `node:fs.readFileSync`. */
  readonly call: string;
  /** Where in user code, as file:line:column; empty when the engine cannot tell. */
  readonly place: string;
  readonly remedy: string;

  constructor(options: {
    readonly call: string;
    readonly place: string;
    readonly remedy?: string | undefined;
  }) {
    const place = options.place === "" ? "" : ` at ${options.place}`;
    const remedy = options.remedy ?? "do it in an activity";
    super(`${options.call} is not deterministic inside a workflow${place}; ${remedy}`, {
      name: "DeterminismViolation",
      code: "DETERMINISM_VIOLATION",
    });
    this.call = options.call;
    this.place = options.place;
    this.remedy = remedy;
  }
}

/** The workflow's code asks for something else than its history holds; the run is parked until matching code returns. */
export class HistoryMismatchError extends MemFlowError {
  declare readonly code: "HISTORY_MISMATCH";
  /** The command's position in program order. */
  readonly position: number;
  /** What history holds there. */
  readonly expected: string;
  /** What the code asks for now. */
  readonly actual: string;
  /** Where in user code, as file:line:column; empty when the engine cannot tell. */
  readonly place: string;

  constructor(options: {
    readonly position: number;
    readonly expected: string;
    readonly actual: string;
    readonly place: string;
  }) {
    const place = options.place === "" ? "" : ` at ${options.place}`;
    super(
      `history holds ${options.expected} at position ${options.position}, the code asks for ${options.actual}${place}; ` +
        "bring the code of this run back, or give the changed code a workflow name of its own",
      { name: "HistoryMismatchError", code: "HISTORY_MISMATCH" },
    );
    this.position = options.position;
    this.expected = options.expected;
    this.actual = options.actual;
    this.place = options.place;
  }
}

/** User code tried to end the process that it shares with other runs. */
export class ProcessExitError extends MemFlowError {
  declare readonly code: "PROCESS_EXIT_REFUSED";
  /** The call, such as `process.exit`. */
  readonly call: string;

  constructor(options: { readonly call: string }) {
    super(
      `${options.call} is refused inside a workflow or activity, it would end every other run of this worker; ` +
        "throw a FatalError to end this one",
      { name: "ProcessExitError", code: "PROCESS_EXIT_REFUSED" },
    );
    this.call = options.call;
  }
}
