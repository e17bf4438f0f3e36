/** One open watch: what it has sent, and how it is to break. */
import type { ServerResponse } from "node:http";
import type { ResourceType } from "../../kube/resource-type.ts";
import type { KubeObject } from "../../kube/wire.ts";
import type { Fault, WatchBreak } from "./faults.ts";
import type { LoggedChange, MockCluster } from "./mock-cluster.ts";
import { Refusal } from "./refusal.ts";
import type { ObjectFilter } from "./selection.ts";

/** What a watch follows. */
export interface WatchSessionOptions {
  readonly cluster: MockCluster;
  readonly type: ResourceType<KubeObject>;
  readonly user: string;
  readonly isSelected: ObjectFilter;
  /** What the client wants to see of an object. */
  readonly shape: (object: KubeObject) => KubeObject;
  /** The resource version that it was asked from. */
  readonly from: number;
  readonly fault: Fault | undefined;
  readonly response: ServerResponse;
}

/** Sends changes until it is ended or broken. */
export class WatchSession {
  readonly type: ResourceType<KubeObject>;
  readonly user: string;
  readonly #options: WatchSessionOptions;
  #position: number;
  #sentCount = 0;
  #silent = false;

  constructor(options: WatchSessionOptions) {
    this.#options = options;
    this.type = options.type;
    this.user = options.user;
    this.#position = options.from;
  }

  /** Sends the headers, and what is due at once. */
  begin(): void {
    const { response, fault, cluster, type, from } = this.#options;
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (fault?.kind === "replay") {
      const before = cluster.changesAfter(type, 0).filter(({ revision }) => revision <= from);
      for (const change of before.slice(-fault.count)) this.#sendChange(change);
    }
    this.#breakIfDue();
    this.sendNew();
  }

  /** Sends what changed since the last time. */
  sendNew(): void {
    const { cluster, type } = this.#options;
    for (const change of cluster.changesAfter(type, this.#position)) {
      if (this.#silent || this.#options.response.writableEnded) return;
      this.#position = change.revision;
      this.#sendChange(change);
      this.#breakIfDue();
    }
  }

  sendBookmark(): void {
    const { type, cluster } = this.#options;
    const metadata = { resourceVersion: String(cluster.revision) };
    this.#send({ type: "BOOKMARK", object: { apiVersion: type.apiVersion, kind: type.kind, metadata } });
  }

  break(by: WatchBreak): void {
    const { response } = this.#options;
    const halfLine = '{"type":"MODIFIED","object":{"metadata":{"na';
    if (by === "reset") response.socket?.resetAndDestroy();
    else if (by === "end") response.end();
    else if (by === "silence") this.#silent = true;
    else if (by === "truncated-line") response.end(halfLine);
    else if (by === "garbled-line") response.end(`${halfLine}\n`);
    else {
      const { status, reason, retryAfterSeconds } = by;
      const refusal = new Refusal(status, reason, `the watch ends with ${reason}`, retryAfterSeconds);
      this.#send({ type: "ERROR", object: refusal.toStatus() });
      response.end();
    }
  }

  /** As the selection sees it, a change of an object may be its coming or its going. */
  #sendChange({ type, object, previous }: LoggedChange): void {
    const { isSelected, shape } = this.#options;
    const before = previous !== undefined && isSelected(previous);
    const after = type !== "DELETED" && isSelected(object);
    if (!before && !after) return;
    this.#send({ type: after ? (before ? "MODIFIED" : "ADDED") : "DELETED", object: shape(object) });
    this.#sentCount++;
  }

  #breakIfDue(): void {
    const { fault } = this.#options;
    if (fault?.kind === "break-watch" && this.#sentCount >= fault.afterCount && !this.#silent) {
      this.break(fault.by);
    }
  }

  #send(event: { readonly type: string; readonly object: unknown }): void {
    const { response } = this.#options;
    if (this.#silent || response.writableEnded || response.destroyed) return;
    response.write(`${JSON.stringify(event)}\n`);
  }
}
