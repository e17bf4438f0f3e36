/**
 * A Kubernetes API server for tests: real HTTP or HTTPS on loopback, with paged lists, watches, bookmarks, optimistic
 * concurrency, server-side apply, `/status` and `/scale`; and with faults on order.
 *
 * It checks no schema and runs no controllers; what it holds is a `MockCluster`, which tests also change directly. Any bearer
 * token is accepted and taken as the name of the user.
 */
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { SELF_SUBJECT_ACCESS_REVIEWS } from "../../kube/access.ts";
import { SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS } from "../../kube/reviews.ts";
import { EVENTS, LEASES } from "../../kube/resource-type.ts";
import type { ResourceType } from "../../kube/resource-type.ts";
import type { KubeObject } from "../../kube/wire.ts";
import { Bell } from "../bell.ts";
import { FaultPlan } from "./faults.ts";
import type { Fault, Verb, WatchBreak } from "./faults.ts";
import { getAt, mergePatch } from "./json-value.ts";
import type { JsonObject } from "./json-value.ts";
import { ListPages } from "./list-pages.ts";
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from "./loopback-certificate.ts";
import { MockCluster } from "./mock-cluster.ts";
import { portForwarding } from "./port-forwarding.ts";
import type { ForwardedPort } from "./port-forwarding.ts";
import { Refusal } from "./refusal.ts";
import { routeRequest } from "./request-route.ts";
import type { RequestRoute } from "./request-route.ts";
import { parseSelection } from "./selection.ts";
import type { ObjectFilter } from "./selection.ts";
import { WatchSession } from "./watch-session.ts";

/** What the server serves. */
export interface MockApiServerOptions {
  /** Besides Leases and Events. */
  readonly types?: readonly ResourceType<KubeObject>[];
  /** Default false. */
  readonly tls?: boolean;
  /** What a user may do, for who asks about its own rights (default: everything). Nothing is refused because of it. */
  readonly mayAccess?: (attributes: ResourceAttributes) => boolean;
  /** Answers a TokenReview with its status (default: the token is nobody's). */
  readonly reviewToken?: (spec: TokenReviewSpec) => object;
  /** Answers a SubjectAccessReview with its status (default: no). */
  readonly reviewAccess?: (spec: AccessReviewSpec) => object;
  /** The port on loopback that a pod's port stands for; undefined refuses (default: all are refused). */
  readonly forward?: (target: ForwardedPort) => number | undefined;
  /** What is left of an object that is sent, as on a server that does not serve some field (default: all of it). */
  readonly admit?: (object: KubeObject) => KubeObject;
}

/** What is asked of a SelfSubjectAccessReview. */
export interface ResourceAttributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace?: string;
}

/** What is asked of a TokenReview. */
export interface TokenReviewSpec {
  readonly token: string;
  readonly audiences?: readonly string[];
}

/** What is asked of a SubjectAccessReview. */
export interface AccessReviewSpec {
  readonly user: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly resourceAttributes: {
    readonly verb: string;
    readonly group: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
}

/** A request that came. */
export interface RecordedRequest {
  readonly verb: Verb;
  readonly plural: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  readonly user: string;
  readonly fieldManager: string | null;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
  readonly fault: Fault["kind"] | undefined;
}

/** A running server. */
export class MockApiServer {
  readonly cluster: MockCluster = new MockCluster();
  readonly faults: FaultPlan = new FaultPlan();
  readonly requests: RecordedRequest[] = [];
  /** Rings after each request came and after each change. */
  readonly bell: Bell = new Bell();
  readonly pages: ListPages = new ListPages();
  readonly #types: readonly ResourceType<KubeObject>[];
  readonly #server: Server;
  readonly #watches = new Set<WatchSession>();
  readonly #tls: boolean;
  readonly #mayAccess: (attributes: ResourceAttributes) => boolean;
  readonly #reviewToken: (spec: TokenReviewSpec) => object;
  readonly #reviewAccess: (spec: AccessReviewSpec) => object;
  readonly #admit: (object: KubeObject) => KubeObject;
  #connectionCount = 0;

  /** Starts a server on a free port. */
  static async start(options: MockApiServerOptions = {}): Promise<MockApiServer> {
    const server = new MockApiServer(options);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  private constructor({
    types = [],
    tls = false,
    mayAccess = () => true,
    reviewToken = () => ({ authenticated: false }),
    reviewAccess = () => ({ allowed: false }),
    admit = (object) => object,
    forward = () => undefined,
  }: MockApiServerOptions) {
    this.#types = [LEASES, EVENTS, ...REVIEWS, ...types];
    this.#mayAccess = mayAccess;
    this.#reviewToken = reviewToken;
    this.#reviewAccess = reviewAccess;
    this.#admit = admit;
    this.#tls = tls;
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    };
    this.#server = tls
      ? createHttpsServer({ cert: LOOPBACK_CERTIFICATE, key: LOOPBACK_KEY }, onRequest)
      : createHttpServer(onRequest);
    this.#server.on("upgrade", portForwarding(forward));
    this.#server.on(tls ? "secureConnection" : "connection", () => this.#connectionCount++);
    this.cluster.bell.onRing(() => {
      for (const watch of this.#watches) watch.sendNew();
      this.bell.ring();
    });
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `${this.#tls ? "https" : "http"}://127.0.0.1:${port}`;
  }

  /** Connections that were ever made. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Watches that are open now, silent ones included. */
  get watchCount(): number {
    return this.#watches.size;
  }

  /** A kubeconfig for a user. */
  kubeConfig(user = "operator"): KubeConfig {
    const kubeConfig = new KubeConfig();
    const caData = Buffer.from(LOOPBACK_CERTIFICATE).toString("base64");
    kubeConfig.loadFromClusterAndUser(
      { name: "mock", server: this.url, skipTLSVerify: !this.#tls, ...(this.#tls ? { caData } : {}) },
      { name: user, token: user },
    );
    return kubeConfig;
  }

  /** The requests of one verb, and of one type if given. */
  requestsOf(verb: Verb, plural?: string): readonly RecordedRequest[] {
    return this.requests.filter((one) => one.verb === verb && (plural ?? one.plural) === one.plural);
  }

  /** Tells all watches how far the server is. */
  sendBookmarks(): void {
    for (const watch of this.#watches) watch.sendBookmark();
  }

  /** Breaks all open watches, or those of a user. */
  breakWatches(by: WatchBreak, user?: string): void {
    for (const watch of this.#watches) if ((user ?? watch.user) === watch.user) watch.break(by);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    const body = await readJson(request);
    try {
      const route = routeRequest(request.method ?? "", url, this.#types);
      const user = (request.headers.authorization ?? "").replace(/^Bearer /u, "");
      const fault = this.faults.take({ verb: route.verb, plural: route.type.plural, user });
      this.requests.push({
        verb: route.verb,
        plural: route.type.plural,
        name: route.name,
        subresource: route.subresource,
        user,
        fieldManager: url.searchParams.get("fieldManager"),
        query: url.searchParams,
        headers: request.headers,
        body,
        fault: fault?.kind,
      });
      this.bell.ring();
      this.#answer({ route, user, url, body, fault, request, response });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      sendRefusal(response, error);
    }
  }

  #answer(exchange: Exchange): void {
    const { route, fault, response } = exchange;
    if (fault?.kind === "silence") return;
    if (fault?.kind === "reset") {
      response.socket?.resetAndDestroy();
      return;
    }
    if (fault?.kind === "refuse") {
      throw new Refusal(fault.status, fault.reason ?? "", "refused on order", fault.retryAfterSeconds);
    }
    if (route.verb === "watch" && fault?.kind !== "garble") {
      this.#watch(exchange);
      return;
    }
    sendJson(exchange, this.#perform(exchange));
  }

  #watch({ route, url, user, fault, request, response }: Exchange): void {
    const from = Number(url.searchParams.get("resourceVersion") ?? Number.NaN);
    if (from < this.cluster.compactedRevision) {
      throw new Refusal(410, "Expired", `too old resource version: ${from}`);
    }
    const isSelected = selectionOf(route, url);
    const session = new WatchSession({
      cluster: this.cluster,
      type: route.type,
      user,
      isSelected,
      shape: (object) => inDetail(request, object),
      from,
      fault,
      response,
    });
    this.#watches.add(session);
    response.once("close", () => {
      this.#watches.delete(session);
      this.bell.ring();
    });
    session.begin();
    const timeoutSeconds = Number(url.searchParams.get("timeoutSeconds") ?? "1800");
    const timer = setTimeout(() => session.break("end"), timeoutSeconds * 1000);
    response.once("close", () => clearTimeout(timer));
    this.bell.ring();
  }

  #perform({ route, url, body, request }: Exchange): unknown {
    const { type, verb, subresource } = route;
    const manager = url.searchParams.get("fieldManager") ?? "unknown";
    const means = { manager, subresource };
    switch (verb) {
      case "list":
      case "watch": {
        const read = {
          limit: Number(url.searchParams.get("limit") ?? "0"),
          continueToken: url.searchParams.get("continue"),
        };
        const answer = this.pages.page(read, () => ({
          revision: this.cluster.revision,
          items: this.cluster.list(type, selectionOf(route, url)).map((item) => inDetail(request, item)),
        }));
        return { apiVersion: type.apiVersion, kind: `${type.kind}List`, ...answer };
      }
      case "get": {
        const found = this.cluster.find(type, nameIn(route));
        if (!found) throw new Refusal(404, "NotFound", `${type.plural} "${route.name ?? ""}" not found`);
        return subresource === "scale" ? scaleOf(found) : inDetail(request, found);
      }
      case "create":
        if (REVIEWS.includes(type)) return this.#review(type, body);
        return this.#create(inNamespace(route, body), { route, url, manager });
      case "update":
        return this.cluster.replace(type, body as KubeObject, means);
      case "patch":
        return this.#patch(route, { request, url, body, manager });
      case "delete":
        return this.cluster.delete(type, nameIn(route), (body as DeleteBody | undefined)?.preconditions);
      default:
        throw new Refusal(405, "MethodNotAllowed", `${String(verb satisfies never)} is not allowed`);
    }
  }

  #create(
    object: KubeObject,
    { route, url, manager }: Pick<Exchange, "route" | "url"> & { readonly manager: string },
  ): KubeObject {
    const admitted = this.#admit(object);
    if (url.searchParams.get("dryRun") === "All") return admitted;
    return this.cluster.create(route.type, admitted, { manager, subresource: route.subresource });
  }

  #review(type: ResourceType<KubeObject>, review: unknown): object {
    const { spec } = review as { readonly spec: unknown };
    return { ...(review as object), status: this.#statusOfReview(type, spec) };
  }

  #statusOfReview(type: ResourceType<KubeObject>, spec: unknown): object {
    if (type === TOKEN_REVIEWS) return this.#reviewToken(spec as TokenReviewSpec);
    if (type === SUBJECT_ACCESS_REVIEWS) return this.#reviewAccess(spec as AccessReviewSpec);
    const { resourceAttributes } = spec as { readonly resourceAttributes: ResourceAttributes };
    return { allowed: this.#mayAccess(resourceAttributes) };
  }

  #patch(
    route: RequestRoute,
    {
      request,
      url,
      body,
      manager,
    }: Pick<Exchange, "request" | "url" | "body"> & { readonly manager: string },
  ): unknown {
    const { type, subresource } = route;
    const kind = request.headers["content-type"];
    if (kind === "application/apply-patch+yaml") {
      const force = url.searchParams.get("force") === "true";
      return this.cluster.apply(type, this.#admit(inNamespace(route, body)), { manager, subresource, force });
    }
    if (kind !== "application/merge-patch+json") {
      throw new Refusal(
        415,
        "UnsupportedMediaType",
        `patches of type ${kind ?? ""} are not known to the mock`,
      );
    }
    const current = this.cluster.find(type, nameIn(route));
    if (!current) throw new Refusal(404, "NotFound", `${type.plural} "${route.name ?? ""}" not found`);
    const patched = mergePatch(current, body) as KubeObject;
    if (subresource !== "scale") return this.cluster.replace(type, patched, { manager, subresource });
    return scaleOf(this.cluster.replace(type, patched, { manager }));
  }
}

/** A request and all that its answer depends on. */
interface Exchange {
  readonly route: RequestRoute;
  readonly user: string;
  readonly url: URL;
  readonly body: unknown;
  readonly fault: Fault | undefined;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface DeleteBody {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** What is asked by creating an object that nobody keeps. */
const REVIEWS: readonly ResourceType<KubeObject>[] = [
  SELF_SUBJECT_ACCESS_REVIEWS,
  SUBJECT_ACCESS_REVIEWS,
  TOKEN_REVIEWS,
];
/** Pieces of a slow body: enough for several reads of any client. */
const SLOW_PIECE_COUNT = 20;

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  return text === "" ? undefined : JSON.parse(text);
}

function selectionOf({ namespace }: RequestRoute, url: URL): ObjectFilter {
  return parseSelection({
    namespace,
    labelSelector: url.searchParams.get("labelSelector"),
    fieldSelector: url.searchParams.get("fieldSelector"),
  });
}

function nameIn({ name = "", namespace }: RequestRoute): { name: string; namespace: string | undefined } {
  return { name, namespace };
}

/** The path decides about the namespace. */
function inNamespace({ namespace }: RequestRoute, body: unknown): KubeObject {
  const object = body as KubeObject;
  return namespace === undefined ? object : { ...object, metadata: { ...object.metadata, namespace } };
}

/** Metadata alone, when the request asks for that. */
function inDetail(request: IncomingMessage, object: KubeObject): KubeObject {
  if (!(request.headers.accept ?? "").includes("as=PartialObjectMetadata")) return object;
  return { apiVersion: "meta.k8s.io/v1", kind: "PartialObjectMetadata", ...onlyMetadata(object) };
}

function onlyMetadata({ metadata }: KubeObject): KubeObject {
  return metadata === undefined ? {} : { metadata };
}

function scaleOf(object: KubeObject): JsonObject {
  const { name, namespace, uid, resourceVersion } = object.metadata ?? {};
  const root = object as JsonObject;
  return {
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: { name, namespace, uid, resourceVersion },
    spec: { replicas: getAt(root, ["spec", "replicas"]) ?? 0 },
    status: {
      replicas: getAt(root, ["status", "replicas"]) ?? 0,
      selector: getAt(root, ["status", "selector"]),
    },
  };
}

function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  const retryAfter =
    refusal.retryAfterSeconds === undefined ? {} : { "retry-after": String(refusal.retryAfterSeconds) };
  response.writeHead(refusal.status, { "content-type": "application/json", ...retryAfter });
  response.end(JSON.stringify(refusal.toStatus()));
}

function sendJson({ fault, response }: Exchange, value: unknown): void {
  const text = JSON.stringify(value);
  const half = text.slice(0, text.length / 2);
  if (fault?.kind === "lose-answer") {
    response.socket?.resetAndDestroy();
    return;
  }
  response.writeHead(200, { "content-type": "application/json" });
  if (fault?.kind === "slow-body") sendSlowly(response, text);
  else if (fault?.kind === "cut-body") response.write(half, () => response.socket?.resetAndDestroy());
  else if (fault?.kind === "stall-body") response.write(half);
  else if (fault?.kind === "garble") response.end(half);
  else response.end(text);
}

function sendSlowly(response: ServerResponse, text: string): void {
  const pieceLength = Math.ceil(text.length / SLOW_PIECE_COUNT);
  const sendFrom = (start: number): void => {
    if (start >= text.length) response.end();
    else
      response.write(text.slice(start, start + pieceLength), () =>
        setImmediate(sendFrom, start + pieceLength),
      );
  };
  sendFrom(0);
}
