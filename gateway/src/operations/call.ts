/** What an operation is given and what it gives back. */
import type { IncomingHttpHeaders } from "node:http";
import type { z } from "zod";
import type { Operation, OPERATIONS, OperationId } from "../api/index.ts";
import type { Access, Gatekeeper, Subject } from "../auth/index.ts";
import type { ServerSentEvent } from "../http/event-stream.ts";
import type { StoreEntry, Stores } from "../stores/index.ts";

type Table = typeof OPERATIONS;

/** A caller's trace, as the header traceparent says it. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
}

/** Bounds of what operations do. */
export interface OperationLimits {
  /** The longest that a call waits for the end of a run. */
  readonly waitMsMax: number;
  /** How long an idempotency key is kept. */
  readonly idempotencyKeepMs: number;
}

/** What is known of any request. */
export interface CallContext {
  readonly stores: Stores;
  readonly gatekeeper: Gatekeeper;
  readonly limits: OperationLimits;
  readonly subject: Subject;
  readonly headers: IncomingHttpHeaders;
  readonly trace: TraceParent | undefined;
  /** Comes when the caller has gone or the gateway stops: who waits gives up. Made for those who wait alone. */
  untilGone(): AbortSignal;
  /** Remembers what the request is about, for the audit log. */
  note(about: { readonly access?: Access; readonly runId?: string; readonly workflowId?: string }): void;
}

type ParamsOf<Id extends OperationId> = z.output<Table[Id]["params"]>;
type QueryOf<Id extends OperationId> = z.output<Table[Id]["query"]>;
type BodyOf<Id extends OperationId> = Table[Id] extends { readonly body: infer Body extends z.ZodType }
  ? z.output<Body>
  : undefined;

/** One request of one operation, checked. */
export interface Call<Id extends OperationId> extends CallContext {
  readonly operationId: Id;
  readonly params: ParamsOf<Id>;
  readonly query: QueryOf<Id>;
  readonly body: BodyOf<Id>;
}

type Answers<Id extends OperationId> = Table[Id]["answers"];
type AnswerBody<Answer> = Answer extends { readonly schema: infer Schema extends z.ZodType }
  ? z.input<Schema>
  : undefined;

/** An answer of an operation, by its status. */
export type Reply<Id extends OperationId> =
  | {
      readonly [Status in keyof Answers<Id>]: {
        readonly status: Status;
        readonly body: AnswerBody<Answers<Id>[Status]>;
        readonly headers?: Readonly<Record<string, string>>;
      };
    }[keyof Answers<Id>]
  | StreamReply;

/** An answer that goes on. */
export interface StreamReply {
  readonly stream: AsyncIterable<readonly ServerSentEvent[]>;
}

/** Does what an operation says. */
export type Handler<Id extends OperationId> = (call: Call<Id>) => Promise<Reply<Id>>;

/** One for each operation. */
export type Handlers = { readonly [Id in OperationId]: Handler<Id> };

/** The Store that a request is about. */
export async function storeOf(
  call: CallContext & {
    readonly params: { readonly namespace: string };
    readonly query: { readonly store?: string | undefined };
  },
): Promise<StoreEntry> {
  return await call.stores.resolve(call.params.namespace, call.query.store);
}

/** The right that an operation names, on an object. */
export function accessOf(
  { access }: Operation,
  place: { readonly namespace: string; readonly name: string | undefined },
): Access {
  if (access === undefined) throw new TypeError("the operation names no right");
  const { namespace, name } = place;
  return { verb: access.verb, resource: access.resource, namespace, ...(name === undefined ? {} : { name }) };
}
