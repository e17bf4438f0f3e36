/** Who is known in a cluster and what they may, over real TLS, against an API server that also fails. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, createServer, request as httpsRequest } from "node:https";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { CONFIG_MAPS, KubeClient } from "@memflow/operator/kube";
import { ManualClock, MockApiServer } from "@memflow/operator/testing";
import type { AccessReviewSpec, TokenReviewSpec } from "@memflow/operator/testing";
import { expect, onTestFinished, test } from "vitest";
import { makeTestAuthority } from "../testing/openssl.ts";
import type { KeyPair, TestAuthority } from "../testing/openssl.ts";
import { AccessReviewer } from "./access-reviewer.ts";
import { CertificateAuthenticator } from "./certificate-authenticator.ts";
import { followClientAuthority } from "./client-authority.ts";
import { ClusterGatekeeper } from "./cluster-gatekeeper.ts";
import { ForbiddenError, UnauthenticatedError, UnavailableError } from "./index.ts";
import type { Access, Subject } from "./index.ts";
import { TokenAuthenticator } from "./token-authenticator.ts";

const SIGNAL: Access = { verb: "signal", resource: "workflows/runs", namespace: "shop", name: "order" };
const ADA: Subject = { name: "ada", groups: ["team", "system:authenticated"], via: "certificate" };
const AUTHORITY_NAME = { namespace: "kube-system", name: "extension-apiserver-authentication" };

type Outcome = Subject | Error;

interface Sent {
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly pair?: KeyPair;
  readonly agent?: Agent;
}

interface Bundle {
  readonly api: MockApiServer;
  readonly clock: ManualClock;
  readonly keeper: ClusterGatekeeper;
  readonly authority: TestAuthority;
  /** What the API server was asked. */
  readonly asked: { readonly tokens: TokenReviewSpec[]; readonly accesses: AccessReviewSpec[] };
  identify(sent: Sent): Promise<Outcome>;
  /** Publishes another client authority and waits until the gatekeeper has it. */
  publish(authorities: readonly string[]): Promise<void>;
}

interface Wish {
  readonly allow?: (spec: AccessReviewSpec) => boolean;
  readonly tokenStatus?: (spec: TokenReviewSpec) => object;
  readonly ofApiServer?: boolean;
}

const knownToken = ({ token, audiences }: TokenReviewSpec): object => ({
  authenticated: token.endsWith("good"),
  ...(audiences === undefined ? {} : { audiences }),
  user: { username: "grace", uid: "7", groups: ["team", "system:authenticated"], extra: { a: ["b"] } },
});

async function setup({
  allow = () => false,
  tokenStatus = knownToken,
  ofApiServer = true,
}: Wish = {}): Promise<Bundle> {
  const asked: { tokens: TokenReviewSpec[]; accesses: AccessReviewSpec[] } = { tokens: [], accesses: [] };
  const api = await MockApiServer.start({
    types: [CONFIG_MAPS],
    reviewToken: (spec) => {
      asked.tokens.push(spec);
      return tokenStatus(spec);
    },
    reviewAccess: (spec) => {
      asked.accesses.push(spec);
      return { allowed: allow(spec) };
    },
  });
  const client = new KubeClient({ kubeConfig: api.kubeConfig(), attemptTimeoutMs: 500, attemptMax: 1 });
  const clock = new ManualClock();
  const authority = makeTestAuthority();
  const other = makeTestAuthority("/CN=front proxies").cert;
  api.cluster.create(CONFIG_MAPS, {
    metadata: AUTHORITY_NAME,
    data: { "client-ca-file": authority.cert, "requestheader-client-ca-file": other },
  });
  const clientAuthority = followClientAuthority(client, () => {});
  const first = Promise.withResolvers<void>();
  clientAuthority.onChange(() => first.resolve());
  clientAuthority.start();
  await first.promise;
  const keeper = new ClusterGatekeeper({
    tokens: new TokenAuthenticator(client, { audiences: ["memflow"], ofApiServer }, clock),
    certificates: new CertificateAuthenticator(clientAuthority, { wallTime: () => new Date() }),
    rights: new AccessReviewer(client, clock),
  });
  const pair = authority.issue({ subject: "/CN=localhost", purpose: "serverAuth", names: "DNS:localhost" });
  const outcomes: ((request: IncomingMessage) => Promise<Outcome>)[] = [];
  const server = createServer(
    // As the gateway listens: whoever has none, or one that does not verify, is told so by an answer.
    { ...pair, ca: [authority.cert, other], requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const identify = outcomes.shift();
      void identify?.(request).finally(() => response.end());
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await clientAuthority.stop();
    await client.close();
    await api.close();
  });
  return {
    api,
    clock,
    keeper,
    authority,
    asked,
    identify: (sent) =>
      send(
        server,
        sent,
        (identify) => outcomes.push(identify),
        (request) => keeper.identify(request),
      ),
    async publish(authorities) {
      const changed = Promise.withResolvers<void>();
      const end = clientAuthority.onChange(() => changed.resolve());
      const object = api.cluster.find(CONFIG_MAPS, AUTHORITY_NAME);
      api.cluster.replace(CONFIG_MAPS, { ...object, data: { "client-ca-file": authorities.join("") } });
      await changed.promise;
      end();
    },
  };
}

/** Sends a request, and gives what the gatekeeper made of it at the other end. */
async function send(
  server: Server,
  { headers = {}, pair, agent }: Sent,
  expectRequest: (identify: (request: IncomingMessage) => Promise<Outcome>) => void,
  identify: (request: IncomingMessage) => Promise<Subject>,
): Promise<Outcome> {
  const outcome = Promise.withResolvers<Outcome>();
  expectRequest(async (request) => {
    const result = await identify(request).catch((error: unknown) => error as Error);
    outcome.resolve(result);
    return result;
  });
  const { port } = server.address() as AddressInfo;
  const own = agent ?? new Agent();
  const sent = httpsRequest({
    host: "127.0.0.1",
    port,
    headers,
    agent: own,
    rejectUnauthorized: false,
    ...pair,
  });
  sent.on("response", (response) => response.resume());
  sent.on("error", (error) => outcome.resolve(error));
  sent.end();
  const result = await outcome.promise;
  if (agent === undefined) own.destroy();
  return result;
}

const jwt = (claims: object, end: string): string =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${end}`;
const bearer = (token: string): Sent => ({ headers: { authorization: `Bearer ${token}` } });

test("a client certificate of the cluster's authority is its common name in its organizations", async () => {
  const { authority, identify, asked, publish } = await setup();
  expect(await identify({ pair: authority.issue({ subject: "/O=team/CN=ada" }) })).toEqual(ADA);
  const lonely = await identify({ pair: authority.issue({ subject: "/CN=bob" }) });
  expect(lonely).toEqual({ name: "bob", groups: ["system:authenticated"], via: "certificate" });
  const bundle = authority.intermediate("/CN=below");
  const below = bundle.issue({ subject: "/O=a/O=b/CN=eve" });
  const chained = { pair: { ...below, cert: below.cert + bundle.cert } };
  expect(await identify(chained)).toBeInstanceOf(UnauthenticatedError);
  await publish([bundle.cert]);
  expect(await identify(chained)).toMatchObject({ name: "eve", groups: ["a", "b", "system:authenticated"] });
  expect(asked).toEqual({ tokens: [], accesses: [] });
});

test.each<readonly [string, (authority: TestAuthority) => KeyPair]>([
  [
    "signed by another authority",
    () => makeTestAuthority("/CN=elsewhere").issue({ subject: "/O=team/CN=ada" }),
  ],
  [
    "signed by another authority of the same name",
    () => makeTestAuthority().issue({ subject: "/O=team/CN=ada" }),
  ],
  ["that has run out", (one) => one.issue({ subject: "/CN=ada", validTo: new Date(Date.now() - 60_000) })],
  [
    "that is not valid yet",
    (one) => one.issue({ subject: "/CN=ada", validFrom: new Date(Date.now() + 1_800_000) }),
  ],
  ["made for servers", (one) => one.issue({ subject: "/CN=ada", purpose: "serverAuth" })],
  ["without a name", (one) => one.issue({ subject: "/O=team" })],
  ["with two names", (one) => one.issue({ subject: "/CN=ada/CN=root" })],
  [
    "signed by a certificate that may not sign",
    (one) => {
      const leaf = one.issue({ subject: "/CN=mallory" });
      const forged = one.intermediate("/CN=below").issue({ subject: "/CN=ada" });
      return { ...forged, cert: forged.cert + leaf.cert };
    },
  ],
])("a client certificate %s makes nobody", async (_claim, make) => {
  const { authority, identify } = await setup();
  expect(await identify({ pair: make(authority) })).toBeInstanceOf(UnauthenticatedError);
});

test("beside a certificate that is not taken a token counts; beside one that is, it does not", async () => {
  const { authority, identify, asked } = await setup();
  const foreign = makeTestAuthority("/CN=elsewhere").issue({ subject: "/CN=ada" });
  expect(await identify({ ...bearer("good"), pair: foreign })).toMatchObject({ name: "grace", via: "token" });
  const own = authority.issue({ subject: "/O=team/CN=ada" });
  expect(await identify({ ...bearer("bad"), pair: own })).toEqual(ADA);
  expect(asked.tokens.length).toBe(1);
});

test("front proxies are not trusted: neither their certificates nor their headers", async () => {
  const { identify, authority } = await setup();
  const headers = { "x-remote-user": "root", "x-remote-group": "system:masters" };
  expect(await identify({ headers })).toBeInstanceOf(UnauthenticatedError);
  const pair = authority.issue({ subject: "/O=team/CN=ada" });
  expect(await identify({ headers, pair })).toEqual(ADA);
});

test("the authority is followed: on a connection that is open, too, a certificate counts no longer than it", async () => {
  const { authority, identify, publish } = await setup();
  const pair = authority.issue({ subject: "/O=team/CN=ada" });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  expect(await identify({ pair, agent })).toEqual(ADA);
  await publish([makeTestAuthority("/CN=next").cert]);
  expect(await identify({ pair, agent })).toBeInstanceOf(UnauthenticatedError);
  await publish([makeTestAuthority("/CN=next").cert, authority.cert]);
  expect(await identify({ pair, agent })).toEqual(ADA);
  await publish([]);
  expect(await identify({ pair, agent })).toBeInstanceOf(UnauthenticatedError);
});

test("a token is its user; one for the gateway is reviewed for it, any other for the API server", async () => {
  const { identify, asked } = await setup();
  const grace = {
    name: "grace",
    uid: "7",
    groups: ["team", "system:authenticated"],
    extra: { a: ["b"] },
    via: "token",
  };
  for (const token of [
    jwt({ aud: ["memflow"] }, "good"),
    jwt({ aud: "https://kubernetes" }, "good"),
    "opaque.good",
  ]) {
    expect(await identify(bearer(token))).toEqual(grace);
  }
  expect(asked.tokens.map(({ audiences }) => audiences)).toEqual([["memflow"], undefined, undefined]);
});

test("where the API server's tokens are not taken, every token is reviewed for the gateway", async () => {
  const { identify, asked } = await setup({ ofApiServer: false });
  await identify(bearer(jwt({ aud: "https://kubernetes" }, "good")));
  await identify(bearer("opaque.good"));
  expect(asked.tokens.map(({ audiences }) => audiences)).toEqual([["memflow"], ["memflow"]]);
});

test("a token for another audience is nobody's, whatever it says of itself", async () => {
  const forOther = (): object => ({ authenticated: true, audiences: ["vault"], user: { username: "grace" } });
  const { identify } = await setup({ tokenStatus: forOther, ofApiServer: false });
  for (const token of [jwt({ aud: "vault" }, "good"), jwt({ aud: ["vault", "memflow"] }, "good")]) {
    expect(await identify(bearer(token))).toBeInstanceOf(UnauthenticatedError);
  }
});

test("who brings nothing, or a token that is nobody's, is not known", async () => {
  const { identify } = await setup();
  for (const sent of [{}, bearer("bad"), { headers: { authorization: "Basic YTpi" } }]) {
    expect(await identify(sent)).toBeInstanceOf(UnauthenticatedError);
  }
});

test("a token is asked about once in ten seconds, and then again", async () => {
  const { identify, asked, clock } = await setup();
  await identify(bearer("good"));
  await identify(bearer("good"));
  expect(asked.tokens.length).toBe(1);
  clock.advance(10_000);
  await identify(bearer("good"));
  expect(asked.tokens.length).toBe(2);
});

test("a right is asked for with the whole user, and kept for ten seconds for this user and object alone", async () => {
  const { keeper, asked, clock } = await setup({ allow: ({ user }) => user === "ada" });
  await keeper.admit(ADA, SIGNAL);
  expect(await keeper.may(ADA, SIGNAL)).toBe(true);
  expect(asked.accesses).toEqual([
    {
      user: "ada",
      groups: ["team", "system:authenticated"],
      extra: {},
      resourceAttributes: {
        verb: "signal",
        group: "memflow.io",
        resource: "workflows",
        subresource: "runs",
        namespace: "shop",
        name: "order",
      },
    },
  ]);
  for (const other of [
    { subject: { ...ADA, name: "bob" }, access: SIGNAL },
    { subject: { ...ADA, groups: ["team"] }, access: SIGNAL },
    { subject: ADA, access: { ...SIGNAL, verb: "terminate" } },
    { subject: ADA, access: { ...SIGNAL, name: "other" } },
    { subject: ADA, access: { ...SIGNAL, name: undefined } },
    { subject: ADA, access: { ...SIGNAL, namespace: "other" } },
  ]) {
    await keeper.may(other.subject, other.access);
  }
  expect(asked.accesses.length).toBe(7);
  clock.advance(10_000);
  await keeper.may(ADA, SIGNAL);
  expect(asked.accesses.length).toBe(8);
});

test("a refusal names user, verb, resource, object and namespace", async () => {
  const { keeper } = await setup();
  const error: unknown = await keeper.admit(ADA, SIGNAL).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ForbiddenError);
  expect((error as Error).message).toBe(
    'user "ada" may not signal workflows/runs.memflow.io "order" in namespace "shop"',
  );
});

test.each([
  ["is silent", { kind: "silence" } as const],
  ["fails", { kind: "refuse", status: 500 } as const],
  ["is overloaded", { kind: "refuse", status: 429, retryAfterSeconds: 3 } as const],
  ["forbids the review", { kind: "refuse", status: 403 } as const],
  ["resets the connection", { kind: "reset" } as const],
  ["answers half", { kind: "garble" } as const],
])("while the API server %s nobody is known and nobody may anything", async (_claim, fault) => {
  const { api, identify, keeper } = await setup({ allow: () => true });
  api.faults.inject(fault, { verbs: ["create"] }, Infinity);
  expect(await identify(bearer("good"))).toBeInstanceOf(UnavailableError);
  await expect(keeper.admit(ADA, SIGNAL)).rejects.toBeInstanceOf(UnavailableError);
  await expect(keeper.may(ADA, SIGNAL)).rejects.toBeInstanceOf(UnavailableError);
  api.faults.clear();
  expect(await identify(bearer("good"))).toMatchObject({ name: "grace" });
  expect(await keeper.may(ADA, SIGNAL)).toBe(true);
});

test("an answer to another question allows nothing", async () => {
  const { keeper } = await setup({
    allow: ({ resourceAttributes }) => resourceAttributes.name === undefined,
  });
  expect(await keeper.may(ADA, { ...SIGNAL, name: undefined })).toBe(true);
  expect(await keeper.may(ADA, SIGNAL)).toBe(false);
});

test("who may impersonate acts as the other, with the other's groups and rights, and stays named", async () => {
  const { authority, identify, asked } = await setup({ allow: () => true });
  const pair = authority.issue({ subject: "/O=team/CN=ada" });
  const headers = { "impersonate-user": "bob", "impersonate-group": ["ops", "a, b"] };
  expect(await identify({ pair, headers })).toEqual({
    name: "bob",
    groups: ["ops", "a, b", "system:authenticated"],
    via: "certificate",
    impersonatedBy: "ada",
  });
  expect(asked.accesses.map(({ user, resourceAttributes }) => [user, resourceAttributes])).toEqual([
    ["ada", { verb: "impersonate", group: "", resource: "users", name: "bob" }],
    ["ada", { verb: "impersonate", group: "", resource: "groups", name: "ops" }],
    ["ada", { verb: "impersonate", group: "", resource: "groups", name: "a, b" }],
  ]);
});

test("a service account is impersonated by its own right, and is in the groups of service accounts", async () => {
  const { identify, asked } = await setup({ allow: () => true });
  const headers = { ...bearer("good").headers, "impersonate-user": "system:serviceaccount:shop:bot" };
  expect(await identify({ headers })).toMatchObject({
    groups: ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
    impersonatedBy: "grace",
  });
  expect(asked.accesses[0]?.resourceAttributes).toEqual({
    verb: "impersonate",
    group: "",
    resource: "serviceaccounts",
    namespace: "shop",
    name: "bot",
  });
});

test("who may not impersonate user or group is refused, and never acts as itself", async () => {
  const { identify } = await setup({
    allow: ({ resourceAttributes }) => resourceAttributes.resource === "users",
  });
  const own = bearer("good").headers;
  const error = await identify({
    headers: { ...own, "impersonate-user": "bob", "impersonate-group": "system:masters" },
  });
  expect(error).toBeInstanceOf(ForbiddenError);
  expect((error as Error).message).toBe('user "grace" may not impersonate groups "system:masters"');
});

test.each<readonly [string, Readonly<Record<string, string | string[]>>]>([
  ["a group without a user", { "impersonate-group": "ops" }],
  ["two users", { "impersonate-user": ["bob", "eve"] }],
  ["an empty user", { "impersonate-user": "" }],
  ["a uid", { "impersonate-user": "bob", "impersonate-uid": "7" }],
  ["extra fields", { "impersonate-user": "bob", "impersonate-extra-scope": "all" }],
])("%s can't be impersonated, whoever may", async (_claim, headers) => {
  const { identify } = await setup({ allow: () => true });
  const outcome = await identify({ headers: { ...bearer("good").headers, ...headers } });
  expect(outcome).toBeInstanceOf(UnauthenticatedError);
});
