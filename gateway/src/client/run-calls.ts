/**
 * Calls that outlive a connection: waiting for a result, and following a history.
 *
 * Both promise to go on after a gateway has restarted, a connection was cut or a call was refused for the moment, until they
 * are done or their signal comes. A history followed this way misses and repeats no event.
 */
import { readEventStream } from "./event-stream.ts";
import type { GatewayClient } from "./gateway-client.ts";
import type { HistoryEvent, RunResult } from "./operations.ts";
import { pause, Patience } from "./patience.ts";

/** Which run. */
export interface RunPlace {
  readonly namespace: string;
  readonly runId: string;
  readonly store?: string | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

const WAIT = "30s";

/**
 * Waits for a run to end.
 *
 * @throws {GatewayProblem} When the run is not there or may not be read; the signal's reason when it comes.
 */
export async function waitForResult(client: GatewayClient, place: RunPlace): Promise<RunResult> {
  const { namespace, runId, store, signal } = place;
  const patience = new Patience();
  for (;;) {
    try {
      const answer = await client.call(
        "getResult",
        { path: { namespace, runId }, query: { store, wait: WAIT } },
        { signal },
      );
      if (answer.status === 200) return answer.body;
      patience.reset();
      const waitMs = Number(answer.headers.get("retry-after") ?? 0) * 1_000;
      if (waitMs > 0) await pause(waitMs, signal);
    } catch (error) {
      await patience.after(error, signal);
    }
  }
}

/** What a followed history gives: events in order, then how the run ended. */
export type Followed =
  | { readonly kind: "event"; readonly event: HistoryEvent }
  | { readonly kind: "end"; readonly status: string };

/**
 * Follows a history to the end of its run.
 *
 * @param place - With `afterEvent`, only events after that number.
 */
export async function* followHistory(
  client: GatewayClient,
  place: RunPlace & { readonly afterEvent?: number | undefined },
): AsyncGenerator<Followed> {
  const { namespace, runId, store, signal } = place;
  const patience = new Patience();
  let seen = place.afterEvent ?? 0;
  for (;;) {
    try {
      const request = {
        path: { namespace, runId },
        query: { store },
        header: { "Last-Event-ID": String(seen) },
      };
      const response = await client.send("getHistory", request, { signal, accept: "text/event-stream" });
      for await (const { event, data } of readEventStream(bodyOf(response))) {
        patience.reset();
        if (event === "end") {
          yield { kind: "end", status: (JSON.parse(data) as { readonly status: string }).status };
          return;
        }
        const told = JSON.parse(data) as HistoryEvent;
        seen = told.eventNo;
        yield { kind: "event", event: told };
      }
    } catch (error) {
      await patience.after(error, signal);
    }
  }
}

function bodyOf(response: Response): AsyncIterable<Uint8Array> {
  if (response.body === null) throw new TypeError("the gateway answered a stream without a body");
  return response.body;
}
