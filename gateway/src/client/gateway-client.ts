/**
 * A typed client of the gateway: one call for each operation of its document.
 *
 * Promises that an answer which is no success is thrown as a `GatewayProblem` with the problem's stable code, and that nothing is
 * tried again by itself: `waitForResult` and `followHistory` are what goes on after a connection is lost. Needs `fetch`
 * alone; another one may be given, for client certificates or tunnels.
 */
import { ROUTES } from "./operations.ts";
import type { Operations, Problem } from "./operations.ts";

/** Id of an operation. */
export type OperationName = keyof Operations;

/** What an operation takes. */
export type RequestOf<Name extends OperationName> = Omit<Operations[Name], "answer">;

/** What an operation answers, and the answer's headers. */
export type AnswerOf<Name extends OperationName> = Operations[Name]["answer"] & { readonly headers: Headers };

/** What the client needs of fetch. */
export type Fetch = (
  url: string,
  init: {
    readonly method: string;
    readonly headers: Record<string, string>;
    readonly body?: string;
    readonly signal?: AbortSignal;
  },
) => Promise<Response>;

/** How to reach a gateway. */
export interface GatewayClientOptions {
  /** Its address, such as `https://gateway.example:8443`. */
  readonly server: string;
  /** Headers of every call; asked for each one, so that a token may be renewed. */
  readonly headers?: () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
  /** In place of the global one. */
  readonly fetch?: Fetch;
}

/** An answer that is no success. */
export class GatewayProblem extends Error {
  override readonly name = "GatewayProblem";
  /** Stable code of the problem; `NoProblem` when something else than a gateway answered. */
  readonly code: string;
  readonly status: number;
  readonly problem: Problem;
  /** Seconds to wait before the next call, where the answer says so. */
  readonly retryAfterSeconds: number | undefined;

  constructor(problem: Problem, retryAfterSeconds?: number) {
    super(problem.detail);
    this.code = problem.code;
    this.status = problem.status;
    this.problem = problem;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** @see GatewayClientOptions */
export class GatewayClient {
  readonly #options: GatewayClientOptions;

  constructor(options: GatewayClientOptions) {
    this.#options = options;
  }

  /**
   * Calls an operation.
   *
   * @throws {GatewayProblem} When the answer is no success; whatever `fetch` throws when there is none.
   */
  async call<Name extends OperationName>(
    name: Name,
    request: RequestOf<Name>,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<AnswerOf<Name>> {
    const response = await this.send(name, request, { ...options, accept: "application/json" });
    const text = await response.text();
    const { status, headers } = response;
    return {
      status,
      headers,
      body: text === "" ? undefined : (JSON.parse(text) as unknown),
    } as unknown as AnswerOf<Name>;
  }

  /**
   * Calls an operation and gives the answer as it comes, for those that are streams.
   *
   * @throws {GatewayProblem} As `call`.
   */
  async send<Name extends OperationName>(
    name: Name,
    request: RequestOf<Name>,
    options: { readonly signal?: AbortSignal | undefined; readonly accept: string },
  ): Promise<Response> {
    const { method, path } = ROUTES[name];
    const parts = request as RequestParts;
    const own = await this.#options.headers?.();
    const init = {
      method,
      headers: {
        accept: `${options.accept}, application/problem+json`,
        ...(parts.body === undefined ? {} : { "content-type": "application/json" }),
        ...definedTexts(parts.header),
        ...own,
      },
      ...(parts.body === undefined ? {} : { body: JSON.stringify(parts.body) }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
    const url = new URL(fillPath(path, parts.path ?? {}), this.#options.server);
    for (const [key, value] of Object.entries(definedTexts(parts.query))) url.searchParams.set(key, value);
    const response = await (this.#options.fetch ?? fetch)(url.href, init);
    if (response.status >= 400) throw await readProblem(response);
    return response;
  }
}

/** What any operation may take. */
interface RequestParts {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, Plain>>;
  readonly header?: Readonly<Record<string, Plain>>;
  readonly body?: unknown;
}

function fillPath(path: string, values: Readonly<Record<string, string>>): string {
  return path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => encodeURIComponent(values[name] ?? ""));
}

/** A member of a path, query or header. */
type Plain = string | number | boolean | undefined;

function definedTexts(fields: Readonly<Record<string, Plain>> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

async function readProblem(response: Response): Promise<GatewayProblem> {
  const text = await response.text();
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds : undefined;
  const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json") === true;
  if (isProblem) return new GatewayProblem(JSON.parse(text) as Problem, retryAfter);
  // A proxy, or another server.
  return new GatewayProblem(
    {
      type: "about:blank",
      title: response.statusText,
      status: response.status,
      detail: `${response.url} answered ${response.status} without a problem; is it a gateway of MemFlow?`,
      instance: "",
      code: "NoProblem",
    },
    retryAfter,
  );
}
