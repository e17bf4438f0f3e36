/**
 * Writes server-sent events.
 *
 * Promises that a slow reader slows the writer down: what it has not taken is not fetched. Comments keep the connection open
 * while nothing happens.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";

const HEARTBEAT_MS = 15_000;
/** How long a client waits before it comes back. */
const RETRY_MS = 1_000;

/** One event. */
export interface ServerSentEvent {
  readonly event: string;
  readonly id?: string;
  readonly data: unknown;
}

/** A stream that has begun. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #heartbeat: NodeJS.Timeout;

  /** Sends the head. */
  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      // A proxy must not keep events back.
      "X-Accel-Buffering": "no",
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
    this.#heartbeat = setInterval(() => response.write(":\n\n"), HEARTBEAT_MS);
  }

  /** Writes events; settles when the reader may be given more, or is gone. */
  async write(events: readonly ServerSentEvent[], signal: AbortSignal): Promise<void> {
    const text = events.map(encode).join("");
    if (this.#response.write(text) || signal.aborted) return;
    try {
      await once(this.#response, "drain", { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  end(): void {
    clearInterval(this.#heartbeat);
    this.#response.end();
  }
}

/** JSON has no line breaks of its own: one line of data is enough. */
function encode({ event, id, data }: ServerSentEvent): string {
  const idLine = id === undefined ? "" : `id: ${id}\n`;
  return `event: ${event}\n${idLine}data: ${JSON.stringify(data)}\n\n`;
}
