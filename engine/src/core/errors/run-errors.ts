/**
 * Errors about a run as a whole: how it was stopped from outside, and why a call that names it is refused.
 */
import { MemFlowError } from "./memflow-error.ts";

/** Who was stopped and why. */
export interface RunStopOptions {
  readonly workflowId: string;
  readonly reason?: string | undefined;
}

/** The run was interrupted (MemFlow's `handle.interrupt`). Not retried. */
export class InterruptedError extends MemFlowError {
  declare readonly code: number;
  /** The workflow id, under the name that MemFlow has always given it. */
  readonly job_id: string;

  constructor(options: RunStopOptions & { readonly code?: number; readonly stack?: string }) {
    super(options.reason ?? "Job Interrupted", {
      name: "InterruptedError",
      code: options.code ?? 410,
      stack: options.stack,
    });
    this.job_id = options.workflowId;
  }
}

/** The run was terminated: its code was not asked and ran no clean-up. Not retried. */
export class TerminatedError extends MemFlowError {
  declare readonly code: "TERMINATED";
  readonly workflowId: string;

  constructor(options: RunStopOptions) {
    super(options.reason ?? `workflow "${options.workflowId}" was terminated`, {
      name: "TerminatedError",
      code: "TERMINATED",
    });
    this.workflowId = options.workflowId;
  }
}

/** The run was asked to cancel and did. Not retried. */
export class CanceledError extends MemFlowError {
  declare readonly code: "CANCELED";
  readonly workflowId: string;

  constructor(options: RunStopOptions) {
    super(options.reason ?? `workflow "${options.workflowId}" was canceled`, {
      name: "CanceledError",
      code: "CANCELED",
    });
    this.workflowId = options.workflowId;
  }
}

/** A start was refused because a run with this workflow id is open. */
export class WorkflowExecutionAlreadyStartedError extends MemFlowError {
  readonly workflowId: string;
  readonly workflowType: string;

  constructor(
    message: string,
    options: {
      readonly workflowId: string;
      readonly workflowType: string;
      readonly name?: string;
      readonly code?: string;
    },
  ) {
    super(message, {
      name: options.name ?? "WorkflowExecutionAlreadyStartedError",
      code: options.code ?? "WORKFLOW_EXECUTION_ALREADY_STARTED",
    });
    this.workflowId = options.workflowId;
    this.workflowType = options.workflowType;
  }
}

/** The same refusal under MemFlow's name and message. */
export class DuplicateJobError extends WorkflowExecutionAlreadyStartedError {
  declare readonly code: "DUPLICATE_JOB";
  readonly jobId: string;
  /** The open run, where it is known. */
  declare readonly runId?: string;

  constructor(jobId: string, workflowType: string = "", runId?: string) {
    super(`Duplicate job: ${jobId}`, {
      workflowId: jobId,
      workflowType,
      name: "DuplicateJobError",
      code: "DUPLICATE_JOB",
    });
    this.jobId = jobId;
    if (runId !== undefined) this.runId = runId;
  }
}

/** Another request was made under the idempotency key; nothing was done. */
export class IdempotencyKeyReusedError extends MemFlowError {
  declare readonly code: "IDEMPOTENCY_KEY_REUSED";
  readonly key: string;

  constructor(key: string) {
    super(`idempotency key "${key}" was used for another request; use a new key for a new request`, {
      name: "IdempotencyKeyReusedError",
      code: "IDEMPOTENCY_KEY_REUSED",
    });
    this.key = key;
  }
}

/** No run with this workflow id is known, or its history has gone with retention. */
export class WorkflowNotFoundError extends MemFlowError {
  declare readonly code: "WORKFLOW_NOT_FOUND" | 404;
  readonly workflowId: string;
  readonly runId: string | undefined;

  constructor(
    options: { readonly workflowId: string; readonly runId?: string | undefined },
    as: { readonly message?: string; readonly name?: string; readonly code?: 404 } = {},
  ) {
    const run = options.runId === undefined ? "" : ` with run "${options.runId}"`;
    super(
      as.message ??
        `workflow "${options.workflowId}"${run} not found; check the id and the namespace, or start it first`,
      { name: as.name ?? "WorkflowNotFoundError", code: as.code ?? "WORKFLOW_NOT_FOUND" },
    );
    this.workflowId = options.workflowId;
    this.runId = options.runId;
  }
}

/** The state of a run was asked for that is not known (code 404), under MemFlow's name and message. */
export class GetStateError extends WorkflowNotFoundError {
  declare readonly code: 404;
  readonly jobId: string;

  constructor(options: { readonly workflowId: string; readonly runId?: string | undefined }) {
    super(options, {
      message: `Job ${options.workflowId} not found; its retention is over: keep finished runs longer with "expire"`,
      name: "GetStateError",
      code: 404,
    });
    this.jobId = options.workflowId;
  }
}

/** A message was refused because its run has ended. */
export class RunClosedError extends MemFlowError {
  declare readonly code: "RUN_CLOSED";
  readonly workflowId: string;
  readonly runId: string;
  readonly status: string;

  constructor(options: { readonly workflowId: string; readonly runId: string; readonly status: string }) {
    super(
      `run "${options.runId}" of workflow "${options.workflowId}" is closed (${options.status}) and takes no message; ` +
        "start the workflow again to reach a new run",
      { name: "RunClosedError", code: "RUN_CLOSED" },
    );
    this.workflowId = options.workflowId;
    this.runId = options.runId;
    this.status = options.status;
  }
}

/** A run was parked because every worker that took it over died on it. */
export class StuckError extends MemFlowError {
  declare readonly code: "RUN_STUCK";
  readonly workflowId: string;
  readonly runId: string;
  readonly takeoverCount: number;

  constructor(options: {
    readonly workflowId: string;
    readonly runId: string;
    readonly takeoverCount: number;
    readonly reason?: string | undefined;
  }) {
    const reason = options.reason === undefined ? "" : `: ${options.reason}`;
    super(
      `run "${options.runId}" of workflow "${options.workflowId}" is stuck after ${options.takeoverCount} takeovers ` +
        `without progress${reason}; correct its code, then resume it`,
      { name: "StuckError", code: "RUN_STUCK" },
    );
    this.workflowId = options.workflowId;
    this.runId = options.runId;
    this.takeoverCount = options.takeoverCount;
  }
}
