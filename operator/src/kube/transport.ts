/**
 * HTTP to one API server, as one kubeconfig says.
 *
 * @kubernetes/client-node reads the kubeconfig, finds proxies and applies credentials (a token is asked for before each
 * request, so its refreshing is client-node's). What it would do with each request and we do once is making a dispatcher:
 * here there is one, remade only when certificates on the disk changed, so that connections are used again.
 *
 * Promises: every request ends in time or by its signal; failures are `KubeError`s. It never tries anything twice, and knows
 * nothing of objects.
 */
import type { RequestOptions } from "node:https";
import type { Readable } from "node:stream";
import { RequestContext } from "@kubernetes/client-node";
import type { DispatcherOptions, KubeConfig } from "@kubernetes/client-node";
import { Agent, request } from "undici";
import type { buildConnector, Dispatcher } from "undici";
import type { Clock } from "./clock.ts";
import {
  KubeCredentialsError,
  KubeError,
  KubeProtocolError,
  KubeTimeoutError,
  KubeUnreachableError,
} from "./errors.ts";

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One request, to be tried once. */
export interface HttpCall {
  readonly method: HttpMethod;
  /** From the root of the server, without its query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For all of it: credentials, connection, answer. For `open`, until the first byte of the body may come. */
  readonly timeoutMs: number;
  /** Gives up; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A whole answer, of any status. */
export interface HttpAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** An answer of 2xx whose body is still coming. Who opened it must read or destroy the body. */
export interface OpenAnswer {
  readonly body: Readable;
}

/** A list is paged and an object is at most a few MiB; more than this is not an answer to anything we asked. */
const ANSWER_BYTES_MAX = 128 * 2 ** 20;
/** Each watch holds a connection for minutes; besides there are as many as there are requests at a time. */
const CONNECTION_MAX = 64;
/** A peer that vanished is noticed after this, and the ten probes that the system sends a second apart. */
const TCP_KEEP_ALIVE_MS = 15_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** Below the idle limits of common load balancers. */
const IDLE_CONNECTION_MS = 30_000;

interface OpenDispatcher {
  readonly dispatcher: Dispatcher;
  /** Of the options that it was made with. */
  readonly fingerprint: string;
}

/** Connections to one API server. Make one for each kubeconfig, and another where requests must not wait for each other. */
export class Transport {
  readonly server: string;
  readonly #kubeConfig: KubeConfig;
  readonly #clock: Clock;
  readonly #userAgent: string;
  #current: OpenDispatcher | undefined;
  /** Those of certificates that were replaced, until their last answers are complete. */
  readonly #retired = new Set<Dispatcher>();

  /**
   * @throws {TypeError} When the kubeconfig has no current cluster.
   */
  constructor(kubeConfig: KubeConfig, clock: Clock, userAgent = "memflow-operator") {
    const cluster = kubeConfig.getCurrentCluster();
    if (!cluster) {
      throw new TypeError(
        `kubeconfig: context "${kubeConfig.getCurrentContext()}" names no cluster; set current-context`,
      );
    }
    this.server = cluster.server.replace(/\/+$/u, "");
    this.#kubeConfig = kubeConfig;
    this.#clock = clock;
    this.#userAgent = userAgent;
  }

  /** Sends a request and reads its whole answer. */
  async send(call: HttpCall): Promise<HttpAnswer> {
    return this.#inTime(call, async (signal) => readAnswer(call, await this.#dispatch(call, signal)));
  }

  /** Sends a request and returns as soon as its answer has begun; one that is not 2xx is read first. */
  async open(call: HttpCall): Promise<OpenAnswer | HttpAnswer> {
    return this.#inTime(call, async (signal) => {
      const answer = await this.#dispatch(call, signal);
      return isSuccess(answer.statusCode) ? { body: answer.body } : readAnswer(call, answer);
    });
  }

  /** Closes all connections; what is under way fails. */
  async close(): Promise<void> {
    const open = [...this.#retired, ...(this.#current ? [this.#current.dispatcher] : [])];
    this.#current = undefined;
    await Promise.all(open.map((dispatcher) => dispatcher.destroy()));
  }

  async #dispatch(call: HttpCall, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { dispatcher, headers } = await this.#authorize(call);
    signal.throwIfAborted();
    return request(this.server + call.path, {
      dispatcher,
      method: call.method,
      query: definedOf(call.query ?? {}),
      headers: { accept: "application/json", "user-agent": this.#userAgent, ...call.headers, ...headers },
      body: call.body ?? null,
      signal,
      // The call's own limit and a watch's idle limit are in force instead.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** Runs an attempt under its limit, and names what went wrong by one of our errors. */
  async #inTime<Result>(call: HttpCall, attempt: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    call.signal?.throwIfAborted();
    const abort = new AbortController();
    const onAbort = (): void => abort.abort(call.signal?.reason);
    call.signal?.addEventListener("abort", onAbort, { once: true });
    const timeout = new KubeTimeoutError(describe(call), call.timeoutMs);
    const stopTimer = this.#clock.after(call.timeoutMs, () => abort.abort(timeout));
    let body: Readable | undefined;
    try {
      const result = await rejectOnAbort(attempt(abort.signal), abort.signal);
      if (isOpen(result)) body = result.body;
      return result;
    } catch (error) {
      if (abort.signal.aborted) throw abort.signal.reason;
      if (error instanceof KubeError) throw error;
      throw new KubeUnreachableError(describe(call), error);
    } finally {
      stopTimer();
      const unhook = (): void => call.signal?.removeEventListener("abort", onAbort);
      if (body) body.once("close", unhook);
      else unhook();
    }
  }

  /** The dispatcher and the headers that the kubeconfig wants now. */
  async #authorize(
    call: HttpCall,
  ): Promise<{ readonly dispatcher: Dispatcher; readonly headers: Record<string, string> }> {
    const options: RequestOptions = {};
    try {
      await this.#kubeConfig.applyToHTTPSOptions(options);
      return { dispatcher: await this.#dispatcherFor(options), headers: headersOf(options) };
    } catch (cause) {
      throw new KubeCredentialsError(describe(call), cause);
    }
  }

  async #dispatcherFor(tls: RequestOptions): Promise<Dispatcher> {
    const options = this.#kubeConfig.createDispatcherOptions(this.#kubeConfig.getCurrentCluster(), {
      ca: tls.ca,
      cert: tls.cert,
      key: tls.key,
      pfx: tls.pfx,
      passphrase: tls.passphrase,
      rejectUnauthorized: tls.rejectUnauthorized,
      servername: (tls as { servername?: string }).servername,
    });
    const fingerprint = fingerprintOf(options);
    if (this.#current?.fingerprint === fingerprint) return this.#current.dispatcher;
    const dispatcher =
      options.type === "agent" || options.type === "none"
        ? makeAgent(options)
        : await this.#proxyDispatcher();
    this.#retire();
    this.#current = { dispatcher, fingerprint };
    return dispatcher;
  }

  /** Proxies are client-node's: it knows HTTP, HTTPS and SOCKS ones. */
  async #proxyDispatcher(): Promise<Dispatcher> {
    const context = new RequestContext(this.server, "GET");
    await this.#kubeConfig.applySecurityAuthentication(context);
    const dispatcher = context.getDispatcher();
    if (!dispatcher) throw new TypeError(`kubeconfig: no dispatcher for the proxy of "${this.server}"`);
    return dispatcher;
  }

  #retire(): void {
    if (!this.#current) return;
    const { dispatcher } = this.#current;
    this.#retired.add(dispatcher);
    this.#current = undefined;
    // Resolves with the end of the last answer, and also when `close` destroys it meanwhile.
    void dispatcher.close().finally(() => this.#retired.delete(dispatcher));
  }
}

/** Method and path, for messages. */
export function describe(call: Pick<HttpCall, "method" | "path">): string {
  return `${call.method} ${call.path}`;
}

/** Whether a status says that what was asked for was done. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/**
 * HTTP/1.1, one request to a connection: over HTTP/2 all would share one connection, and one lost packet or a stalled
 * watch would hold up the renewal of the lease.
 */
function makeAgent(options: Extract<DispatcherOptions, { type: "agent" | "none" }>): Dispatcher {
  const tls = (options.type === "agent" ? options.connect : {}) as buildConnector.BuildOptions;
  return new Agent({
    allowH2: false,
    connections: CONNECTION_MAX,
    keepAliveTimeout: IDLE_CONNECTION_MS,
    connect: {
      ...tls,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      timeout: CONNECT_TIMEOUT_MS,
    },
  });
}

/** Credentials may take as long as their command likes, and do not know our signal. */
function rejectOnAbort<Result>(result: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function isOpen(result: unknown): result is OpenAnswer {
  return typeof result === "object" && result !== null && "body" in result;
}

function headersOf({ headers, auth }: RequestOptions): Record<string, string> {
  const texts: Record<string, string> = {};
  if (typeof auth === "string") texts["authorization"] = `Basic ${Buffer.from(auth).toString("base64")}`;
  for (const [name, value] of Object.entries(headers ?? {})) texts[name.toLowerCase()] = String(value);
  return texts;
}

/** Some KB of text for each request: the only way to see that a certificate on the disk was renewed. */
function fingerprintOf(options: DispatcherOptions): string {
  const tls = options.type === "agent" ? options.connect : options.type === "none" ? {} : options.requestTls;
  const uri = "uri" in options ? options.uri : "";
  const parts = [tls.ca, tls.cert, tls.key, tls.pfx, tls.passphrase, tls.rejectUnauthorized, tls.servername];
  return [options.type, uri, ...parts.map(textOf)].join("\n");
}

function textOf(part: unknown): string {
  return Buffer.isBuffer(part) ? part.toString("base64") : part === undefined ? "" : JSON.stringify(part);
}

function definedOf(query: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const defined: Record<string, string> = {};
  for (const [name, value] of Object.entries(query)) if (value !== undefined) defined[name] = value;
  return defined;
}

async function readAnswer(
  call: HttpCall,
  { statusCode, headers, body }: Dispatcher.ResponseData,
): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) {
      throw new KubeProtocolError(
        describe(call),
        `the answer is longer than ${ANSWER_BYTES_MAX} bytes; lower the page size`,
      );
    }
    chunks.push(chunk);
  }
  const retryAfter = headers["retry-after"];
  return {
    status: statusCode,
    retryAfter: typeof retryAfter === "string" ? retryAfter : undefined,
    text: Buffer.concat(chunks).toString("utf8"),
  };
}
