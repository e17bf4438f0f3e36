/**
 * Reads and writes objects of one API server.
 *
 * Promises: answers are typed by what was asked for; a failure is a `KubeError` with a stable code; each try has its own
 * limit; a request that the server refused unseen (429, or 503 with Retry-After) is sent again after the time that it asked
 * for, a read also when nobody answered. A write of which nobody knows whether it was carried out is the caller's to look
 * after. Every write says by which field manager. It holds no objects: that is the reflector's part.
 */
import type { Readable } from "node:stream";
import type { KubeConfig } from "@kubernetes/client-node";
import { backoffMs } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import { sleep, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import {
  KubeError,
  KubeProtocolError,
  KubeTimeoutError,
  KubeUnreachableError,
  NotFoundError,
  retryAfterMsOf,
  ServerError,
  TooManyRequestsError,
} from "./errors.ts";
import { PODS, SERVICE_ACCOUNTS } from "./kubernetes-kinds.ts";
import { collectionPath, objectPath } from "./resource-type.ts";
import type { ResourceType } from "./resource-type.ts";
import { answerError } from "./status-answer.ts";
import { describe, isSuccess, Transport } from "./transport.ts";
import type { HttpCall } from "./transport.ts";
import { readWatchEvents } from "./watch-stream.ts";
import type { WatchEvent } from "./watch-stream.ts";
import { identityOf, nameOf } from "./wire.ts";
import type { KubeList, KubeObject, ObjectName, Scale } from "./wire.ts";

/** How a client behaves; every value has a default. */
export interface KubeClientOptions {
  readonly kubeConfig: KubeConfig;
  /** For each try (default 15,000). */
  readonly attemptTimeoutMs?: number;
  /** Tries of one request, from 1 (default 4). */
  readonly attemptMax?: number;
  readonly backoff?: Backoff;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly guard?: WriteGuard;
  /** As which the server's logs know us (default `memflow-operator`). */
  readonly userAgent?: string;
  /** Hears of each try that ended; of a watch, when it began. */
  readonly onAnswer?: (answer: AnswerFacts) => void;
}

/** Stands between a client and its writes. */
export interface WriteGuard {
  /** Asked before each write; throws to refuse it. For those who may write only while they lead. */
  mayWrite(): void;
  /** Passed before and after each write: `apply.deployments.before`, `apply.taskqueues.status.after`. For tests that stop there. */
  passing?(place: string): void;
}

/** How a try ended, without what it was about. */
export interface AnswerFacts {
  readonly method: string;
  /** The status, or the code of the error when there was none: `200`, `KUBE_TIMEOUT`. */
  readonly code: string;
  readonly durationMs: number;
}

/** For one call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What a write says besides the object. */
export interface WriteOptions extends CallOptions {
  /** Who owns the fields: one name for each concern, so that no concern undoes another's. */
  readonly fieldManager: string;
  readonly subresource?: "status" | undefined;
}

/** A server-side apply. */
export interface ApplyOptions extends WriteOptions {
  /** Takes fields from other managers (default true, as controllers should); false: a conflict instead. */
  readonly force?: boolean;
}

/** A change of parts of an object. */
export type Patch =
  | { readonly kind: "merge"; readonly body: Readonly<Record<string, unknown>> }
  | { readonly kind: "json"; readonly body: readonly Readonly<Record<string, unknown>>[] };

/** What a list or a watch is narrowed to. */
export interface Selection {
  /** Left out: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** One page of a list. */
export interface ListOptions extends Selection, CallOptions {
  readonly limit?: number;
  /** The token of the page before. */
  readonly continueToken?: string;
}

/** A page, and what the next one is asked for with. */
export interface ListPage<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly continueToken: string | undefined;
}

/** A watch. */
export interface WatchOptions extends Selection {
  readonly resourceVersion: string;
  /** After which the server ends it. */
  readonly timeoutSeconds: number;
  /** Without a line for so long, it ends with `WatchIdleError`. */
  readonly idleMs: number;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** A delete. */
export interface DeleteOptions extends CallOptions {
  /** Only the object with this uid, not another one of the same name. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagation?: "Background" | "Foreground" | "Orphan";
  readonly gracePeriodSeconds?: number;
}

/** A token of a service account. */
export interface TokenWish extends CallOptions {
  /** Whom it is for (default: the API server). */
  readonly audiences?: readonly string[];
  /** The server takes 600 and more. */
  readonly expirationSeconds: number;
}

/** Which part of a pod's log. */
export interface LogOptions extends CallOptions {
  /** Needed where the pod has several. */
  readonly container?: string | undefined;
  /** Go on as it grows. */
  readonly follow?: boolean | undefined;
  readonly tailLines?: number | undefined;
  /** ISO 8601, to the second. */
  readonly sinceTime?: string | undefined;
  /** Each line begins with its time. */
  readonly timestamps?: boolean | undefined;
  /** Of the container's life before its last restart. */
  readonly previous?: boolean | undefined;
}

const OK = 200;
const ATTEMPT_TIMEOUT_MS = 15_000;
const ATTEMPT_MAX = 4;
const BACKOFF: Backoff = { firstMs: 250, maxMs: 5_000 };
const PATCH_TYPES = { merge: "application/merge-patch+json", json: "application/json-patch+json" } as const;
const NEVER = new AbortController().signal;
const JSON_TYPE = { "content-type": "application/json" } as const;

/** A client of one API server. */
export class KubeClient {
  readonly clock: Clock;
  readonly #transport: Transport;
  readonly #options: KubeClientOptions;

  /**
   * @param transport - Default: connections of its own.
   */
  constructor(options: KubeClientOptions, transport?: Transport) {
    this.#options = options;
    this.clock = options.clock ?? systemClock;
    this.#transport = transport ?? new Transport(options.kubeConfig, this.clock, options.userAgent);
  }

  /** The same client over the same connections, which asks before each write; closing either closes both. */
  guarded(guard: WriteGuard): KubeClient {
    return new KubeClient({ ...this.#options, guard }, this.#transport);
  }

  /**
   * Reads an object.
   *
   * @throws {NotFoundError} When it is not there.
   */
  async get<T extends KubeObject>(
    type: ResourceType<T>,
    name: ObjectName,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#sendFor<T>({
      method: "GET",
      path: objectPath(type, name),
      headers: acceptOf(type, "PartialObjectMetadata"),
      signal: options.signal,
    });
  }

  /** Reads an object that need not be there. */
  async find<T extends KubeObject>(
    type: ResourceType<T>,
    name: ObjectName,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    try {
      return await this.get(type, name, options);
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  }

  /**
   * Reads a page of a list, as it is now; all pages of a list show the same moment.
   *
   * @returns The objects ordered by key, each with the apiVersion and kind that the server leaves out of lists.
   * @throws {GoneError} When the token of the next page has run out: begin anew.
   */
  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<ListPage<T>> {
    const page = await this.#sendFor<KubeList<T>>({
      method: "GET",
      path: collectionPath(type, options.namespace),
      query: {
        ...selectionQuery(options),
        limit: options.limit?.toString(),
        continue: options.continueToken,
      },
      headers: acceptOf(type, "PartialObjectMetadataList"),
      signal: options.signal,
    });
    const { continue: continueToken, resourceVersion = "" } = page.metadata ?? {};
    return {
      items: page.items.map((item) => ({ apiVersion: type.apiVersion, kind: type.kind, ...item })),
      resourceVersion,
      continueToken: continueToken === "" ? undefined : continueToken,
    };
  }

  /**
   * Watches from a resource version on.
   *
   * @returns Once the server accepted: the events in order, bookmarks included, as `readWatchEvents` gives them out.
   * @throws {GoneError} When the resource version is too old; the events may reject with it too.
   */
  async watch<T extends KubeObject>(
    type: ResourceType<T>,
    options: WatchOptions,
  ): Promise<AsyncIterable<WatchEvent<T>>> {
    const { idleMs, signal } = options;
    const call: HttpCall = {
      method: "GET",
      path: collectionPath(type, options.namespace),
      query: {
        ...selectionQuery(options),
        watch: "true",
        allowWatchBookmarks: "true",
        resourceVersion: options.resourceVersion,
        timeoutSeconds: options.timeoutSeconds.toString(),
      },
      headers: acceptOf(type, "PartialObjectMetadata"),
      timeoutMs: this.#attemptTimeoutMs,
      signal,
    };
    const body = await this.#openBody(call);
    return readWatchEvents<T>({
      request: describe(call),
      body,
      idleMs,
      clock: this.clock,
      signal,
    });
  }

  /**
   * Creates an object.
   *
   * @throws {AlreadyExistsError} When the name is taken.
   */
  async create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions): Promise<T> {
    const { namespace } = object.metadata ?? {};
    if (type.namespaced && namespace === undefined) {
      throw new TypeError(`${type.kind} "${object.metadata?.name ?? ""}" needs a namespace`);
    }
    return this.#write<T>(
      { method: "POST", path: collectionPath(type, namespace), headers: JSON_TYPE, ...bodyOf(type, object) },
      { ...options, place: placeOf("create", type, options.subresource) },
    );
  }

  /**
   * What the server would make of a new object, without making it: checked, with defaults, and without what it does not serve.
   *
   * @param object - Its name is only what a name would begin with, so that it never clashes.
   * @throws {InvalidError} When it would be refused.
   * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
   */
  async preview<T extends KubeObject>(
    type: ResourceType<T>,
    object: T,
    { fieldManager, signal }: WriteOptions,
  ): Promise<T> {
    const { name, ...metadata } = object.metadata ?? {};
    const unnamed = { ...object, metadata: { ...metadata, generateName: `${name ?? ""}-` } };
    return this.#sendFor<T>({
      method: "POST",
      path: collectionPath(type, metadata.namespace),
      query: { dryRun: "All", fieldManager },
      headers: JSON_TYPE,
      ...bodyOf(type, unnamed),
      signal,
    });
  }

  /**
   * Replaces an object as it was read: with its resource version.
   *
   * @throws {ConflictError} When it changed since.
   */
  async replace<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions): Promise<T> {
    const path = objectPath(type, identityOf(object), options.subresource);
    return this.#write<T>(
      { method: "PUT", path, headers: JSON_TYPE, ...bodyOf(type, object) },
      { ...options, place: placeOf("replace", type, options.subresource) },
    );
  }

  /**
   * Applies an object: what it says becomes so and is owned by the field manager, what the manager said earlier and no
   * longer says is removed, all else is left alone. The object is created if need be, but not through a subresource.
   *
   * @throws {ConflictError} When another manager owns a field of it and `force` is false.
   * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
   */
  async apply<T extends KubeObject>(type: ResourceType<T>, object: T, options: ApplyOptions): Promise<T> {
    return this.#write<T>(
      {
        method: "PATCH",
        path: objectPath(type, nameOf(object), options.subresource),
        query: { force: String(options.force ?? true) },
        // JSON is YAML; servers before 1.32 know no other name for it.
        headers: { "content-type": "application/apply-patch+yaml" },
        ...bodyOf(type, object),
      },
      { ...options, place: placeOf("apply", type, options.subresource) },
    );
  }

  /** Changes parts of an object that is there. */
  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    name: ObjectName,
    patch: Patch,
    options: WriteOptions,
  ): Promise<T> {
    return this.#write<T>(
      {
        method: "PATCH",
        path: objectPath(type, name, options.subresource),
        headers: { "content-type": PATCH_TYPES[patch.kind] },
        body: JSON.stringify(patch.body),
      },
      { ...options, place: placeOf("patch", type, options.subresource) },
    );
  }

  /**
   * Deletes an object; with finalizers, or in the foreground, it goes later.
   *
   * @returns Whether it was there.
   * @throws {ConflictError} When uid or resource version are not those given.
   */
  async delete(
    type: ResourceType<KubeObject>,
    name: ObjectName,
    options: DeleteOptions = {},
  ): Promise<boolean> {
    const { uid, resourceVersion, gracePeriodSeconds } = options;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      preconditions: { uid, resourceVersion },
      propagationPolicy: options.propagation ?? "Background",
      gracePeriodSeconds,
    };
    const call = { method: "DELETE", path: objectPath(type, name), headers: JSON_TYPE } as const;
    try {
      await this.#guarded(placeOf("delete", type), () =>
        this.#sendFor<KubeObject>({ ...call, body: JSON.stringify(body), signal: options.signal }),
      );
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  }

  /** Reads the scale of an object: wanted and actual replicas. */
  async readScale(
    type: ResourceType<KubeObject>,
    name: ObjectName,
    { signal }: CallOptions = {},
  ): Promise<Scale> {
    return this.#sendFor<Scale>({ method: "GET", path: objectPath(type, name, "scale"), signal });
  }

  /** Sets the wanted replicas of an object, and touches nothing else of it. */
  async writeScale(
    type: ResourceType<KubeObject>,
    name: ObjectName,
    { replicas, ...options }: { readonly replicas: number } & Omit<WriteOptions, "subresource">,
  ): Promise<Scale> {
    return this.#write<Scale>(
      {
        method: "PATCH",
        path: objectPath(type, name, "scale"),
        headers: { "content-type": PATCH_TYPES.merge },
        body: JSON.stringify({ spec: { replicas } }),
      },
      { ...options, place: placeOf("patch", type, "scale") },
    );
  }

  /**
   * Asks for a token of a service account.
   *
   * @returns The token; it is nobody's to keep.
   * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
   */
  async requestToken(
    serviceAccount: ObjectName,
    { audiences, expirationSeconds, signal }: TokenWish,
  ): Promise<string> {
    const spec = { expirationSeconds, ...(audiences === undefined ? {} : { audiences }) };
    const answer = await this.#sendFor<{ readonly status: { readonly token: string } }>({
      method: "POST",
      path: objectPath(SERVICE_ACCOUNTS, serviceAccount, "token"),
      headers: JSON_TYPE,
      body: JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec }),
      signal,
    });
    return answer.status.token;
  }

  /**
   * Reads what a container of a pod wrote, as it comes.
   *
   * @returns Once the server accepted. Who reads must read to the end, leave the loop, or abort the signal.
   */
  async readLog(pod: ObjectName, options: LogOptions): Promise<AsyncIterable<Buffer>> {
    const { container, follow, tailLines, sinceTime, timestamps, previous, signal } = options;
    const call: HttpCall = {
      method: "GET",
      path: objectPath(PODS, pod, "log"),
      query: {
        container,
        follow: follow?.toString(),
        tailLines: tailLines?.toString(),
        sinceTime,
        timestamps: timestamps?.toString(),
        previous: previous?.toString(),
      },
      headers: { accept: "*/*" },
      timeoutMs: this.#attemptTimeoutMs,
      signal,
    };
    return this.#openBody(call);
  }

  /** Closes the connections; what is under way fails. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  get #attemptTimeoutMs(): number {
    return this.#options.attemptTimeoutMs ?? ATTEMPT_TIMEOUT_MS;
  }

  async #write<Answer>(
    call: Omit<HttpCall, "timeoutMs" | "signal">,
    {
      fieldManager,
      signal,
      place,
    }: Pick<WriteOptions, "fieldManager" | "signal"> & { readonly place: string },
  ): Promise<Answer> {
    return this.#guarded(place, () =>
      this.#sendFor<Answer>({ ...call, query: { ...call.query, fieldManager }, signal }),
    );
  }

  async #guarded<Answer>(place: string, send: () => Promise<Answer>): Promise<Answer> {
    const { guard } = this.#options;
    guard?.mayWrite();
    guard?.passing?.(`${place}.before`);
    const answer = await send();
    guard?.passing?.(`${place}.after`);
    return answer;
  }

  /** Sends a request until an answer stands, and reads its JSON. */
  async #sendFor<Answer>(request: Omit<HttpCall, "timeoutMs">): Promise<Answer> {
    const call = { ...request, timeoutMs: this.#attemptTimeoutMs };
    const attemptMax = this.#options.attemptMax ?? ATTEMPT_MAX;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#sendOnce<Answer>(call);
      } catch (error) {
        if (attempt >= attemptMax || !mayRepeat(call, error)) throw error;
        await this.#waitAfter(error, attempt, call.signal);
        // Who led when the write was made need not lead any more.
        if (call.method !== "GET") this.#options.guard?.mayWrite();
      }
    }
  }

  async #sendOnce<Answer>(call: HttpCall): Promise<Answer> {
    const answer = await this.#observed(call, async () => {
      const sent = await this.#transport.send(call);
      return { answer: sent, status: sent.status };
    });
    if (!isSuccess(answer.status)) throw answerError(describe(call), answer);
    try {
      return JSON.parse(answer.text) as Answer;
    } catch (cause) {
      throw new KubeProtocolError(describe(call), "the answer is not JSON", cause);
    }
  }

  /** The body of an answer that goes on, once the server accepted. */
  async #openBody(call: HttpCall): Promise<Readable> {
    const answer = await this.#observed(call, async () => {
      const opened = await this.#transport.open(call);
      return { answer: opened, status: "body" in opened ? OK : opened.status };
    });
    if (!("body" in answer)) throw answerError(describe(call), answer);
    return answer.body;
  }

  /** Sends, and tells how that ended whoever counts. */
  async #observed<Answer>(
    { method }: HttpCall,
    send: () => Promise<{ readonly answer: Answer; readonly status: number }>,
  ): Promise<Answer> {
    const { onAnswer } = this.#options;
    const startedMs = this.clock.steadyMs();
    const tell = (code: string): void =>
      onAnswer?.({ method, code, durationMs: this.clock.steadyMs() - startedMs });
    try {
      const { answer, status } = await send();
      tell(status.toString());
      return answer;
    } catch (error) {
      tell(error instanceof KubeError ? error.code : "ABORTED");
      throw error;
    }
  }

  async #waitAfter(error: unknown, attempt: number, signal: AbortSignal | undefined): Promise<void> {
    const random = (this.#options.random ?? Math.random)();
    const delayMs = backoffMs(this.#options.backoff ?? BACKOFF, attempt, random, retryAfterMsOf(error));
    await sleep(this.clock, delayMs, signal ?? NEVER);
    signal?.throwIfAborted();
  }
}

/** Whether sending it again does no harm: the server refused it unseen, or it only reads. */
function mayRepeat(call: HttpCall, error: unknown): boolean {
  if (error instanceof TooManyRequestsError) return true;
  if (error instanceof ServerError && error.retryAfterMs !== undefined) return true;
  return (
    call.method === "GET" &&
    (error instanceof KubeUnreachableError ||
      error instanceof KubeTimeoutError ||
      error instanceof KubeProtocolError ||
      error instanceof ServerError)
  );
}

function placeOf(verb: string, { plural }: ResourceType<KubeObject>, subresource?: string): string {
  return subresource === undefined ? `${verb}.${plural}` : `${verb}.${plural}.${subresource}`;
}

function selectionQuery({ labelSelector, fieldSelector }: Selection): Record<string, string | undefined> {
  return { labelSelector, fieldSelector };
}

/** The server converts to metadata when it is asked to by content negotiation. */
function acceptOf(type: ResourceType<KubeObject>, partialKind: string): Record<string, string> {
  return type.detail === "full" ? {} : { accept: `application/json;as=${partialKind};g=meta.k8s.io;v=v1` };
}

function bodyOf(type: ResourceType<KubeObject>, object: KubeObject): { readonly body: string } {
  return { body: JSON.stringify({ ...object, apiVersion: type.apiVersion, kind: type.kind }) };
}
