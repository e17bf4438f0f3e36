/** What the mock API server answers when it does not do what was asked. */
import type { Status } from "../../kube/wire.ts";

/** An answer other than 2xx, thrown from where it is found out. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfterSeconds?: number) {
    super(message);
    this.name = "Refusal";
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** As the object that Kubernetes sends. */
  toStatus(): Status {
    return {
      apiVersion: "v1",
      kind: "Status",
      metadata: {},
      status: "Failure",
      code: this.status,
      reason: this.reason,
      message: this.message,
      ...(this.retryAfterSeconds === undefined
        ? {}
        : { details: { retryAfterSeconds: this.retryAfterSeconds } }),
    };
  }
}
