/**
 * The `fetch` of a gateway's client over connections of our own: tunnels, certificates, headers that come several times.
 *
 * Promises that answers of any length and duration are passed on as they come, that a failed connection is a `TypeError` with
 * its cause, as fetch has it, and that nothing is tried twice.
 */
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { Agent, request } from "undici";
import type { buildConnector } from "undici";
import type { Fetch } from "@memflow/gateway/client";

/** How connections are made and what each request brings. */
export interface HttpFetchOptions {
  /** Opens a connection that is ready for HTTP. */
  readonly dial: () => Promise<Socket>;
  /** Asked for each request; a list is sent as so many headers. */
  readonly headers: () => Promise<Readonly<Record<string, string | readonly string[]>>>;
}

/** @see makeHttpFetch */
export interface HttpFetch {
  readonly fetch: Fetch;
  close(): Promise<void>;
}

/** Without a word for so long a connection is not used again. */
const IDLE_MS = 10_000;
const WITHOUT_BODY = [204, 304];

/** @see HttpFetchOptions */
export function makeHttpFetch({ dial, headers }: HttpFetchOptions): HttpFetch {
  const connect: buildConnector.connector = (_, callback) => void answerConnector(dial, callback);
  const agent = new Agent({ connect, keepAliveTimeout: IDLE_MS, headersTimeout: 0, bodyTimeout: 0 });
  return {
    close: () => agent.destroy(),
    async fetch(url, init) {
      const own = await headers();
      try {
        const answer = await request(url, {
          dispatcher: agent,
          method: init.method as "GET",
          headers: { ...init.headers, ...mutable(own) },
          body: init.body ?? null,
          signal: init.signal ?? null,
        });
        const body = WITHOUT_BODY.includes(answer.statusCode) ? null : toWeb(answer.body);
        return new Response(body, { status: answer.statusCode, headers: textHeaders(answer.headers) });
      } catch (cause) {
        if (init.signal?.aborted === true) throw cause;
        throw new TypeError("fetch failed", { cause });
      }
    },
  };
}

/** undici wants a callback. */
async function answerConnector(
  dial: HttpFetchOptions["dial"],
  answer: Parameters<buildConnector.connector>[1],
): Promise<void> {
  let socket: Socket;
  try {
    socket = await dial();
  } catch (error) {
    answer(error instanceof Error ? error : new Error(String(error)), null);
    return;
  }
  answer(null, socket);
}

function toWeb(body: Readable): ReadableStream<Uint8Array> {
  // Not `Readable.toWeb`: it throws where nobody can catch when a body that still comes is given up.
  return ReadableStream.from(body as AsyncIterable<Uint8Array>);
}

function mutable(
  headers: Readonly<Record<string, string | readonly string[]>>,
): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === "string" ? value : [...value]]),
  );
}

function textHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const texts = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value ?? []].flat()) texts.append(name, one);
  }
  return texts;
}
