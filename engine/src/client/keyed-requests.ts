/**
 * Starts and signals with an idempotency key: the same request, sent again, has the outcome of the first.
 *
 * Promises that a key is written in the transaction of what it asked for, so neither is there without the other; that equal
 * requests which come at once share one write; and that another request under a key is refused. A request that was refused
 * leaves no key.
 */
import { DuplicateJobError, IdempotencyKeyReusedError } from "../core/errors.ts";
import { STRAY_SIGNAL_MS } from "../core/events.ts";
import { int4Array, int8Array, jsonArray, textArray, uuidArray } from "../store/binary-arrays.ts";
import type { ClientQueries } from "../store/client-queries.ts";
import { withPayload } from "../store/json-member.ts";
import type { GroupCommitOptions } from "./group-commit.ts";
import { encodeSeed } from "./reservations.ts";
import type { SignalRequest, StartRequest } from "./store-client.ts";

/** By which a request is known again. */
export interface IdempotencyKey {
  /** 1 to 255 characters; starts have their keys, and so have the signals of each run. */
  readonly key: string;
  /** Hash of all that the request asks for. */
  readonly fingerprint: string;
  /** Until when the key is kept, in milliseconds since 1970. */
  readonly expiresMs: number;
}

/** What became of a request with a key. */
export interface KeyedOutcome {
  /** False: an equal request was there before, and this is what it led to. */
  readonly fresh: boolean;
  readonly expiresMs: number;
}

/** A run that was started under a key. */
export interface KeyedStart extends KeyedOutcome {
  readonly runId: string;
  readonly workflowId: string;
}

/** @see KeyedStart */
export type KeyedStartRequest = StartRequest & { readonly idempotency: IdempotencyKey };

/** A signal of one run, with an id of its own. */
export type KeyedSignalRequest = SignalRequest & {
  readonly requestId: string;
  readonly toRunId: string;
  readonly idempotency: IdempotencyKey;
};

/** What the database says of a signal with a key. */
export interface KeyedReceipt {
  readonly known?: true;
  /** Of the request that took the key; null when that has just gone. */
  readonly request?: string | null;
  readonly fingerprint?: string | null;
  readonly expires_ms?: number | null;
  readonly run?: string | null;
  readonly owner?: string | null;
  readonly queue?: string | null;
  readonly open?: boolean;
}

/** The key has just gone, and the request is to be sent again. */
export class KeyGoneError extends Error {
  override readonly name = "KeyGoneError";
}

interface StartReply {
  readonly refused: readonly { readonly run: string; readonly holder: string | null }[];
  readonly known: readonly {
    readonly run: string;
    readonly request: string | null;
    readonly workflow_id: string | null;
    readonly fingerprint: string | null;
    readonly expires_ms: number | null;
  }[];
}

/** How starts with keys are committed. */
export function keyedStartFlush(options: {
  readonly queries: ClientQueries;
  readonly writer: string;
  readonly channel: string;
}): Pick<GroupCommitOptions<KeyedStartRequest, KeyedStart>, "keyOf" | "statement" | "answers"> {
  const { queries, writer, channel } = options;
  return {
    keyOf: ({ workflowId }) => workflowId,
    statement: (items, number) => {
      const values = [
        writer,
        number,
        uuidArray(items.map(({ runId }) => runId)),
        textArray(items.map(({ workflowId }) => workflowId)),
        textArray(items.map(({ workflowName }) => workflowName)),
        textArray(items.map(({ taskQueue }) => taskQueue)),
        channel,
        int8Array(items.map(({ delayMs }) => Math.round(delayMs))),
        int4Array(items.map(({ retentionSeconds }) => retentionSeconds)),
        jsonArray(items.map(({ input }) => input)),
        jsonArray(items.map(({ options: text }) => text)),
        textArray(items.map(({ idempotency }) => `start:${idempotency.key}`)),
        textArray(items.map(({ idempotency }) => idempotency.fingerprint)),
        int8Array(items.map(({ idempotency }) => idempotency.expiresMs)),
      ];
      const seeds = items.flatMap(encodeSeed);
      return seeds.length === 0
        ? { ...queries.startKeyedRuns, values }
        : { ...queries.startKeyedSeededRuns, values: [...values, `[${seeds.join(",")}]`] };
    },
    answers: (items, reply) => {
      const said = reply === null ? { refused: [], known: [] } : (JSON.parse(reply) as StartReply);
      const refused = new Map(said.refused.map(({ run, holder }) => [run, holder]));
      const known = new Map(said.known.map((row) => [row.run, row]));
      return items.map((item) => {
        const { runId, workflowId, workflowName, idempotency } = item;
        if (refused.has(runId))
          return new DuplicateJobError(workflowId, workflowName, refused.get(runId) ?? undefined);
        const earlier = known.get(runId);
        if (earlier === undefined)
          return { runId, workflowId, fresh: true, expiresMs: idempotency.expiresMs };
        if (earlier.request === null) return new KeyGoneError("the key has just gone");
        if (earlier.fingerprint !== idempotency.fingerprint)
          return new IdempotencyKeyReusedError(idempotency.key);
        return {
          runId: earlier.request,
          workflowId: earlier.workflow_id ?? workflowId,
          fresh: false,
          expiresMs: earlier.expires_ms ?? idempotency.expiresMs,
        };
      });
    },
  };
}

/** How signals with keys are committed. */
export function keyedSignalFlush(options: {
  readonly queries: ClientQueries;
  readonly writer: string;
}): Pick<GroupCommitOptions<KeyedSignalRequest, KeyedReceipt>, "keyOf" | "statement" | "answers"> {
  const { queries, writer } = options;
  return {
    keyOf: () => undefined,
    statement: (items, number) => ({
      ...queries.sendKeyedSignals,
      values: [writer, number, `[${items.map(encodeKeyedSignal).join(",")}]`],
    }),
    answers: (_items, reply) => (reply === null ? [] : (JSON.parse(reply) as KeyedReceipt[])),
  };
}

/** The key of a signal, as the database has it. */
export function signalKeyOf({ toRunId, idempotency }: KeyedSignalRequest): string {
  return `signal:${toRunId}:${idempotency.key}`;
}

function encodeKeyedSignal(request: KeyedSignalRequest): string {
  const { signalId, toRunId, requestId, payload, idempotency } = request;
  const head = JSON.stringify({
    name: signalId,
    to: toRunId,
    ttl_ms: STRAY_SIGNAL_MS,
    request: requestId,
    key: signalKeyOf(request),
    fingerprint: idempotency.fingerprint,
    expires_ms: idempotency.expiresMs,
  });
  return withPayload(head, "payload", payload);
}

/** Equal requests that are on their way share one write. */
export class KeyedRequests<
  Request extends { readonly idempotency: IdempotencyKey },
  Outcome extends KeyedOutcome,
> {
  readonly #keyOf: (request: Request) => string;
  readonly #send: (request: Request) => Promise<Outcome>;
  readonly #underWay = new Map<
    string,
    { readonly fingerprint: string; readonly outcome: Promise<Outcome> }
  >();

  constructor(options: {
    readonly keyOf: (request: Request) => string;
    readonly send: (request: Request) => Promise<Outcome>;
  }) {
    this.#keyOf = options.keyOf;
    this.#send = options.send;
  }

  /** Settles when the outcome is recorded, by this request or by an equal one. */
  async add(request: Request): Promise<Outcome> {
    const key = this.#keyOf(request);
    for (;;) {
      const earlier = this.#underWay.get(key);
      if (earlier === undefined) break;
      if (earlier.fingerprint === request.idempotency.fingerprint)
        return { ...(await earlier.outcome), fresh: false };
      // Another request under the key: once the first has ended, the database knows which of them has it.
      await earlier.outcome.catch(() => undefined);
    }
    const outcome = this.#sendAgain(request);
    this.#underWay.set(key, { fingerprint: request.idempotency.fingerprint, outcome });
    try {
      return await outcome;
    } finally {
      this.#underWay.delete(key);
    }
  }

  async #sendAgain(request: Request): Promise<Outcome> {
    for (;;) {
      try {
        return await this.#send(request);
      } catch (error) {
        if (!(error instanceof KeyGoneError)) throw error;
      }
    }
  }
}
