/**
 * The events of a watch: one JSON object a line.
 *
 * Promises that an event is given out only when its line was complete, and that a stream which says nothing for too long
 * ends with `WatchIdleError`: a connection whose peer is gone looks like a quiet one. It reconnects nothing.
 */
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { Clock } from "./clock.ts";
import { KubeError, KubeProtocolError, KubeUnreachableError } from "./errors.ts";
import { eventError } from "./status-answer.ts";
import type { KubeObject, Status } from "./wire.ts";

/** A change of an object, or how far the server has come without one. */
export type WatchEvent<T> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

/** Nothing came for too long. Not a failure: quiet types do this all day. */
export class WatchIdleError extends KubeError {
  readonly code = "KUBE_WATCH_IDLE";
  readonly idleMs: number;

  constructor(request: string, idleMs: number) {
    super(request, `no line within ${idleMs} ms`);
    this.idleMs = idleMs;
  }
}

/** Where the events come from. */
export interface WatchSource {
  readonly request: string;
  readonly body: Readable;
  readonly idleMs: number;
  readonly clock: Clock;
  /** What ended the body, when we did. */
  readonly signal: AbortSignal;
}

/** An object of etcd has at most 1.5 MiB. */
const LINE_CHARACTERS_MAX = 16 * 2 ** 20;

/**
 * Reads the events of a watch.
 *
 * @returns The events in order; it ends when the server ends the stream after a whole line.
 * @throws {KubeStatusError} What an ERROR event says.
 * @throws {KubeProtocolError} On a cut or broken line.
 * @throws {KubeUnreachableError} When the connection is lost.
 * @throws {WatchIdleError} When no line comes for `idleMs`.
 */
export async function* readWatchEvents<T extends KubeObject>(
  source: WatchSource,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  try {
    for await (const line of readLines(source)) yield parseEvent<T>(source.request, line);
  } catch (error) {
    if (source.signal.aborted) throw source.signal.reason;
    if (error instanceof KubeError) throw error;
    throw new KubeUnreachableError(source.request, error);
  } finally {
    source.body.destroy();
  }
}

/**
 * Whole lines only, and a drip of bytes that completes none is silence too.
 */
async function* readLines({
  request,
  body,
  idleMs,
  clock,
}: WatchSource): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder("utf8");
  const fail = (): unknown => body.destroy(new WatchIdleError(request, idleMs));
  let stopTimer = clock.after(idleMs, fail);
  let rest = "";
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const parts = decoder.write(chunk).split("\n");
      if (parts.length > 1) {
        stopTimer();
        stopTimer = clock.after(idleMs, fail);
        parts[0] = rest + (parts[0] ?? "");
        rest = "";
      }
      const last = parts.pop() ?? "";
      for (const line of parts) if (line !== "") yield line;
      rest += last;
      if (rest.length > LINE_CHARACTERS_MAX) {
        throw new KubeProtocolError(request, `a line of the watch exceeds ${LINE_CHARACTERS_MAX} characters`);
      }
    }
  } finally {
    stopTimer();
  }
  if (rest !== "") throw new KubeProtocolError(request, "the watch ended in the middle of a line");
}

function parseEvent<T extends KubeObject>(request: string, line: string): WatchEvent<T> {
  const { type, object } = parseLine(request, line);
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { type, object: object as T };
    case "BOOKMARK": {
      const resourceVersion = (object as KubeObject).metadata?.resourceVersion;
      if (resourceVersion === undefined) {
        throw new KubeProtocolError(request, "a bookmark has no resource version");
      }
      return { type, resourceVersion };
    }
    case "ERROR":
      throw eventError(request, object as Status);
    default:
      throw new KubeProtocolError(
        request,
        `an event of the watch has the unknown type ${JSON.stringify(type)}`,
      );
  }
}

function parseLine(request: string, line: string): { readonly type: unknown; readonly object: unknown } {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw new KubeProtocolError(request, "a line of the watch is not JSON", cause);
  }
  if (typeof event !== "object" || event === null || !("type" in event) || !("object" in event)) {
    throw new KubeProtocolError(request, "a line of the watch is not an event");
  }
  if (typeof event.object !== "object" || event.object === null) {
    throw new KubeProtocolError(request, "an event of the watch has no object");
  }
  return { type: event.type, object: event.object };
}
