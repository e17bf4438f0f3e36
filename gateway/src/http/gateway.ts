/**
 * The gateway's HTTP application: every operation of the table on its route, every refusal as a problem.
 *
 * Each request goes the same way: a request id, who asks, how often, what is asked, what they may, what is done, and one
 * line for the audit log. Nothing that a caller sends makes a 5xx; who waits is told to come again when the gateway stops.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import express from "express";
import type { Express, Request, Response } from "express";
import { OPERATIONS } from "../api/index.ts";
import type { Operation, OperationId } from "../api/index.ts";
import { ForbiddenError } from "../auth/index.ts";
import type { AskedAccess, Audit, Gatekeeper, Subject } from "../auth/index.ts";
import { openApiDocument } from "../openapi/document.ts";
import { HANDLERS } from "../operations/index.ts";
import type { CallContext, OperationLimits, StreamReply, TraceParent } from "../operations/call.ts";
import type { Stores } from "../stores/index.ts";
import { EventStream } from "./event-stream.ts";
import { readJsonBody } from "./json-body.ts";
import type { BodyLimits } from "./json-body.ts";
import { PROBLEMS } from "../api/index.ts";
import { invalid, problemBody, ProblemError, toProblem } from "./problem.ts";
import { RateLimiter } from "./rate-limit.ts";
import type { RateLimits } from "./rate-limit.ts";
import { readRequest } from "./request-reader.ts";

/** Every bound of the API. */
export interface GatewayLimits extends BodyLimits, RateLimits, OperationLimits {}

/** What is used where nothing is said. */
export const DEFAULT_LIMITS: GatewayLimits = {
  bodyBytesMax: 2 * 1024 * 1024,
  bodyDepthMax: 100,
  requestsPerSecond: 2_000,
  burst: 4_000,
  waitMsMax: 60_000,
  idempotencyKeepMs: 7 * 86_400_000,
};

/** Writes one line. */
export type GatewayLog = (
  level: "info" | "warn" | "error",
  message: string,
  facts: Readonly<Record<string, unknown>>,
) => void;

/** What was answered, for those who count. */
export interface AnsweredRequest {
  /** Undefined for a path that is none of the API. */
  readonly operationId: OperationId | undefined;
  readonly method: string;
  readonly status: number;
  readonly durationMs: number;
}

/** @see createGateway */
export interface GatewayOptions {
  readonly stores: Stores;
  readonly gatekeeper: Gatekeeper;
  readonly audit: Audit;
  readonly log: GatewayLog;
  /** Those that differ from `DEFAULT_LIMITS`. */
  readonly limits?: Partial<GatewayLimits> | undefined;
  /** Comes when the gateway stops: streams end and waits are answered, so that callers go elsewhere. */
  readonly stopping?: AbortSignal | undefined;
  /** Told of each answer, for metrics. */
  readonly onAnswer?: ((request: AnsweredRequest) => void) | undefined;
}

/** Makes the application; whoever calls gives it a server. */
export function createGateway(options: GatewayOptions): Express {
  const desk = new RequestDesk(options);
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", false);
  const document = openApiDocument();
  app.get("/openapi.json", (_request, response) => {
    response.json(document);
  });
  for (const [path, operations] of routes()) {
    for (const operation of operations)
      app[operation.method](path, (request, response) => desk.answer(operation, request, response));
    const allowed = operations.map(({ method }) => method.toUpperCase()).join(", ");
    app.all(path, (request, response) => desk.refuseMethod(allowed, request, response));
  }
  app.use((request, response) => desk.refusePath(request, response));
  app.use((error: unknown, request: Request, response: Response, _next: () => void) => {
    desk.refuse(error, request, response);
  });
  return app;
}

/** Paths as Express writes them; those with a verb first, since a name could be taken for one. */
function routes(): readonly (readonly [string, readonly Operation[]])[] {
  const all = Object.values<Operation>(OPERATIONS);
  const byPath = Map.groupBy(all, ({ path }) => path);
  return [...byPath]
    .toSorted(([one], [other]) => Number(other.includes(":")) - Number(one.includes(":")))
    .map(([path, operations]) => [expressPath(path), operations]);
}

function expressPath(path: string): string {
  return path.replaceAll(":", String.raw`\:`).replaceAll(/\{(\w+)\}/gu, ":$1");
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/u;
const TRACE_PARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/u;

/** What is gathered of a request on its way. */
interface Journey {
  readonly requestId: string;
  readonly startedMs: number;
  readonly operationId: OperationId | undefined;
  subject?: Subject;
  access?: AskedAccess;
  runId?: string;
  workflowId?: string;
}

class RequestDesk {
  readonly #options: GatewayOptions;
  readonly #limits: GatewayLimits;
  readonly #rates: RateLimiter;
  readonly #stopping: AbortSignal;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#rates = new RateLimiter(this.#limits);
    this.#stopping = options.stopping ?? new AbortController().signal;
  }

  async answer(operation: Operation, request: Request, response: Response): Promise<void> {
    const operationId = operation.operationId as OperationId;
    const journey = this.#begin(operationId, request, response);
    try {
      const subject = await this.#identify(journey, request);
      assertAcceptable(operation, request);
      const raw = {
        params: request.params,
        search: searchOf(request.url),
        body: await readJsonBody(request, this.#limits),
      };
      const context: CallContext = {
        stores: this.#options.stores,
        gatekeeper: this.#options.gatekeeper,
        limits: this.#limits,
        subject,
        headers: request.headers,
        trace: traceOf(request),
        untilGone: once(() => goneSignal(response, this.#stopping)),
        note: (about) => Object.assign(journey, about),
      };
      const call = { ...context, operationId, ...readRequest(operation, raw) };
      // The table of handlers has for each id what its schemas give.
      const reply = await (HANDLERS[operationId] as (call: unknown) => Promise<AnyReply>)(call);
      if ("stream" in reply) await this.#stream(journey, response, { reply, signal: context.untilGone() });
      else this.#send(journey, response, reply);
    } catch (error) {
      this.#fail(journey, response, error);
    }
  }

  refuseMethod(allowed: string, request: Request, response: Response): void {
    const detail = `${request.method} is none of ${allowed}`;
    this.refuse(
      new ProblemError("MethodNotAllowed", detail, { headers: { Allow: allowed } }),
      request,
      response,
    );
  }

  refusePath(request: Request, response: Response): void {
    this.refuse(
      new ProblemError("NotFound", `there is no ${request.path}; see /openapi.json`),
      request,
      response,
    );
  }

  refuse(error: unknown, request: Request, response: Response): void {
    const journey = this.#begin(undefined, request, response);
    // Express's own: a path that can't be decoded.
    const isPath = error instanceof URIError;
    this.#fail(
      journey,
      response,
      isPath ? invalid([{ path: "path", message: "must be URL-encoded UTF-8" }]) : error,
    );
  }

  #begin(operationId: OperationId | undefined, request: IncomingMessage, response: ServerResponse): Journey {
    const given = request.headers["x-request-id"];
    const requestId = typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
    response.setHeader("X-Request-Id", requestId);
    response.setHeader("X-Content-Type-Options", "nosniff");
    const trace = traceOf(request);
    if (trace !== undefined) response.setHeader("Traceparent", String(request.headers["traceparent"]));
    return { requestId, startedMs: performance.now(), operationId };
  }

  async #identify(journey: Journey, request: IncomingMessage): Promise<Subject> {
    const subject = await this.#options.gatekeeper.identify(request);
    journey.subject = subject;
    const waitMs = this.#rates.take(subject.name, performance.now());
    if (waitMs === 0) return subject;
    const { requestsPerSecond } = this.#limits;
    throw new ProblemError(
      "TooManyRequests",
      `user "${subject.name}" makes more than ${requestsPerSecond} requests a second`,
      { headers: { "Retry-After": String(Math.ceil(waitMs / 1_000)) } },
    );
  }

  #send(journey: Journey, response: Response, { status, body, headers = {} }: PlainReply): void {
    const text = body === undefined ? undefined : JSON.stringify(body);
    response.writeHead(status, {
      ...headers,
      ...(text === undefined
        ? {}
        : { "Content-Type": "application/json; charset=utf-8", "Content-Length": Buffer.byteLength(text) }),
      "Cache-Control": headers["Cache-Control"] ?? "no-store",
    });
    response.end(text);
    this.#record(journey, status, "allowed");
  }

  async #stream(
    journey: Journey,
    response: Response,
    { reply, signal }: { readonly reply: StreamReply; readonly signal: AbortSignal },
  ): Promise<void> {
    const stream = new EventStream(response);
    this.#record(journey, 200, "allowed");
    try {
      for await (const events of reply.stream) await stream.write(events, signal);
    } catch (error) {
      // The head is sent: who follows comes back and is told what it is.
      this.#options.log("warn", "a stream was cut off", {
        requestId: journey.requestId,
        error: String(error),
      });
    } finally {
      stream.end();
    }
  }

  #fail(journey: Journey, response: ServerResponse, error: unknown): void {
    const problem = toProblem(error);
    // Who may not act as another is refused before anything is asked for.
    if (error instanceof ForbiddenError && journey.subject === undefined) {
      journey.subject = error.subject;
      journey.access = error.access;
    }
    const { status } = PROBLEMS[problem.code];
    if (status >= 500)
      this.#options.log(status === 500 ? "error" : "warn", "a request failed", {
        requestId: journey.requestId,
        operation: journey.operationId,
        error: describe(problem.cause ?? problem),
      });
    if (!response.headersSent) {
      const text = JSON.stringify(problemBody(problem, journey.requestId));
      response.writeHead(status, {
        "Content-Type": "application/problem+json; charset=utf-8",
        "Content-Length": Buffer.byteLength(text),
        "Cache-Control": "no-store",
        ...problem.extras.headers,
      });
      response.end(text);
    } else response.destroy();
    this.#record(journey, status, problem.code === "Forbidden" ? "denied" : "failed");
  }

  #record(journey: Journey, status: number, outcome: "allowed" | "denied" | "failed"): void {
    const { subject, access, runId, workflowId, requestId, operationId, startedMs } = journey;
    this.#options.onAnswer?.({
      operationId,
      method: operationId === undefined ? "" : OPERATIONS[operationId].method,
      status,
      durationMs: performance.now() - startedMs,
    });
    if (subject === undefined || access === undefined) return;
    this.#options.audit.record({ subject, access, runId, workflowId, requestId, outcome, status });
  }
}

interface PlainReply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

type AnyReply = PlainReply | StreamReply;

/** What the operation has must be something that the caller takes. */
function assertAcceptable(operation: Operation, request: Request): void {
  const streams = Object.keys(operation.answers[200]?.streams ?? {});
  if (request.accepts(["application/json", "application/problem+json", ...streams]) !== false) return;
  throw new ProblemError("NotAcceptable", `the answer is ${["application/json", ...streams].join(" or ")}`);
}

function searchOf(url: string): URLSearchParams {
  const start = url.indexOf("?");
  return new URLSearchParams(start === -1 ? "" : url.slice(start + 1));
}

const GONE = new Error("the caller has gone, or the gateway stops");

/** Lets go of the gateway's own signal when the answer has ended: that one lives as long as the gateway. */
function goneSignal(response: ServerResponse, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController();
  const stop = (): void => gone.abort(GONE);
  stopping.addEventListener("abort", stop, { once: true });
  response.once("close", () => {
    stopping.removeEventListener("abort", stop);
    stop();
  });
  if (stopping.aborted || response.destroyed) stop();
  return gone.signal;
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => (made ??= { value: make() }).value;
}

function traceOf(request: IncomingMessage): TraceParent | undefined {
  const header = request.headers["traceparent"];
  const match = typeof header === "string" ? TRACE_PARENT.exec(header) : null;
  const [, traceId, spanId] = match ?? [];
  return traceId === undefined || spanId === undefined ? undefined : { traceId, spanId };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
