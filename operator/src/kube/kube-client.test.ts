/** Requests to an API server, and what becomes of them when it fails. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { expect, onTestFinished, test } from "vitest";
import { ManualClock } from "../testing/manual-clock.ts";
import { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { widget, WIDGETS } from "../testing/widgets.ts";
import {
  AlreadyExistsError,
  ConflictError,
  GoneError,
  KubeCredentialsError,
  KubeProtocolError,
  KubeTimeoutError,
  KubeUnreachableError,
  NotFoundError,
  ServerError,
  TooManyRequestsError,
} from "./errors.ts";
import { KubeClient } from "./kube-client.ts";
import type { KubeClientOptions } from "./kube-client.ts";
import { metadataOf } from "./resource-type.ts";
import { identityOf } from "./wire.ts";

const A = { namespace: "default", name: "a" } as const;
const AS_TEST = { fieldManager: "test" } as const;

interface Bundle {
  readonly api: MockApiServer;
  readonly client: KubeClient;
}

async function setup(options: Partial<KubeClientOptions> = {}, tls = false): Promise<Bundle> {
  const api = await MockApiServer.start({ types: [WIDGETS], tls });
  const client = new KubeClient({
    kubeConfig: api.kubeConfig(),
    backoff: { firstMs: 1, maxMs: 2 },
    ...options,
  });
  onTestFinished(async () => {
    await client.close();
    await api.close();
  });
  return { api, client };
}

test("an object is created, read, replaced, patched and deleted, each by its manager", async () => {
  const { api, client } = await setup();
  const created = await client.create(WIDGETS, widget("a", { spec: { size: 1 } }), AS_TEST);
  expect(await client.get(WIDGETS, A)).toEqual(created);
  const replaced = await client.replace(WIDGETS, { ...created, spec: { size: 2 } }, AS_TEST);
  expect(replaced.metadata?.generation).toBe(2);
  const patch = { kind: "merge", body: { spec: { color: "red" } } } as const;
  expect((await client.patch(WIDGETS, A, patch, AS_TEST)).spec).toEqual({ size: 2, color: "red" });
  expect(await client.delete(WIDGETS, A, { uid: identityOf(created).uid })).toBe(true);
  expect(await client.delete(WIDGETS, A)).toBe(false);
  expect(await client.find(WIDGETS, A)).toBeUndefined();
  expect(api.requests.filter(({ verb }) => verb !== "get").map(({ fieldManager }) => fieldManager)).toEqual([
    "test",
    "test",
    "test",
    null,
    null,
  ]);
});

test("refusals are told apart by class", async () => {
  const { api, client } = await setup();
  const first = await client.create(WIDGETS, widget("a"), AS_TEST);
  await expect(client.create(WIDGETS, widget("a"), AS_TEST)).rejects.toBeInstanceOf(AlreadyExistsError);
  await expect(client.get(WIDGETS, { ...A, name: "b" })).rejects.toBeInstanceOf(NotFoundError);
  api.cluster.replace(WIDGETS, { ...first, spec: { size: 5 } });
  await expect(client.replace(WIDGETS, first, AS_TEST)).rejects.toBeInstanceOf(ConflictError);
  await expect(client.delete(WIDGETS, A, { uid: "another" })).rejects.toBeInstanceOf(ConflictError);
  await expect(client.list(WIDGETS, { continueToken: "old" })).rejects.toBeInstanceOf(GoneError);
});

test("a name without its namespace is a mistake that never reaches the server", async () => {
  const { api, client } = await setup();
  await expect(client.get(WIDGETS, { name: "a" })).rejects.toThrow(TypeError);
  await expect(client.create(WIDGETS, { metadata: { name: "a" } }, AS_TEST)).rejects.toThrow(TypeError);
  expect(api.requests).toEqual([]);
});

test("an apply owns what it says, gives up what it no longer says, and leaves others' fields alone", async () => {
  const { client } = await setup();
  const apply = (spec: object, fieldManager: string) =>
    client.apply(WIDGETS, widget("a", { spec }), { fieldManager });
  await apply({ size: 1, color: "red" }, "shape");
  await apply({ replicas: 3 }, "scaling");
  const last = await apply({ size: 2 }, "shape");
  expect(last.spec).toEqual({ size: 2, replicas: 3 });
  expect(last.metadata?.managedFields?.map(({ manager }) => manager)).toEqual(["shape", "scaling"]);
});

test("an apply takes a field from another manager, unless it was told not to", async () => {
  const { client } = await setup();
  const size = (count: number) => widget("a", { spec: { size: count } });
  await client.apply(WIDGETS, size(1), { fieldManager: "first" });
  const unforced = client.apply(WIDGETS, size(2), { fieldManager: "second", force: false });
  await expect(unforced).rejects.toBeInstanceOf(ConflictError);
  expect((await client.apply(WIDGETS, size(2), { fieldManager: "second" })).spec).toEqual({ size: 2 });
});

test("an apply that changes nothing does not even change the resource version", async () => {
  const { api, client } = await setup();
  await client.apply(WIDGETS, widget("a", { spec: { size: 1 } }), AS_TEST);
  const { revision } = api.cluster;
  await client.apply(WIDGETS, widget("a", { spec: { size: 1 } }), AS_TEST);
  expect(api.cluster.revision).toBe(revision);
});

test("status is written by itself: the spec is not, nor does its generation grow", async () => {
  const { client } = await setup();
  await client.create(WIDGETS, widget("a", { spec: { size: 1 }, status: { ready: 1 } }), AS_TEST);
  const both = widget("a", { spec: { size: 9 }, status: { ready: 7 } });
  const applied = await client.apply(WIDGETS, both, { fieldManager: "status", subresource: "status" });
  expect(applied).toMatchObject({ spec: { size: 1 }, status: { ready: 7 }, metadata: { generation: 1 } });
  const replaced = await client.replace(WIDGETS, { ...applied, status: { ready: 8 } }, AS_TEST);
  expect(replaced.status).toEqual({ ready: 7 });
});

test("the scale of an object is read and written without the rest of it", async () => {
  const { api, client } = await setup();
  api.cluster.create(WIDGETS, widget("a", { spec: { size: 1, replicas: 2 }, status: { replicas: 1 } }));
  expect(await client.readScale(WIDGETS, A)).toMatchObject({
    spec: { replicas: 2 },
    status: { replicas: 1 },
  });
  const scale = await client.writeScale(WIDGETS, A, { replicas: 5, fieldManager: "scaling" });
  expect(scale.spec).toEqual({ replicas: 5 });
  expect(api.cluster.find(WIDGETS, A)?.spec).toEqual({ size: 1, replicas: 5 });
});

test("objects of a list know their type, although the server leaves it out", async () => {
  const { api, client } = await setup();
  for (const name of ["a", "b", "c"]) api.cluster.create(WIDGETS, widget(name));
  const page = await client.list(WIDGETS, { namespace: "default", limit: 2 });
  expect(page.items.map(({ apiVersion, kind }) => [apiVersion, kind])).toEqual([
    [WIDGETS.apiVersion, "Widget"],
    [WIDGETS.apiVersion, "Widget"],
  ]);
  const rest = await client.list(WIDGETS, { limit: 2, continueToken: page.continueToken ?? "" });
  expect(rest.items.map((item) => item.metadata?.name)).toEqual(["c"]);
  expect(rest.continueToken).toBeUndefined();
});

test("selectors narrow a list", async () => {
  const { api, client } = await setup();
  api.cluster.create(WIDGETS, widget("a", { labels: { tier: "x" } }));
  api.cluster.create(WIDGETS, widget("b", { labels: { tier: "y" } }));
  const names = async (options: object) =>
    (await client.list(WIDGETS, options)).items.map((item) => item.metadata?.name);
  expect(await names({ labelSelector: "tier=x" })).toEqual(["a"]);
  expect(await names({ fieldSelector: "metadata.name=b" })).toEqual(["b"]);
});

test("of a type in metadata alone, neither spec nor status is sent", async () => {
  const { api, client } = await setup();
  api.cluster.create(WIDGETS, widget("a", { spec: { size: 1 } }));
  const type = metadataOf(WIDGETS);
  expect(await client.get(type, A)).not.toHaveProperty("spec");
  expect((await client.list(type)).items[0]).not.toHaveProperty("spec");
});

test("a thousand requests, eight at a time, share their connections", async () => {
  const { api, client } = await setup({}, true);
  api.cluster.create(WIDGETS, widget("a"));
  const lane = async (): Promise<void> => {
    for (let count = 0; count < 125; count++) await client.get(WIDGETS, A);
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  expect(api.requests.length).toBe(1_000);
  // A connection is free a moment after its answer is complete, so now and then a lane opens another.
  expect(api.connectionCount).toBeLessThanOrEqual(16);
});

test("a server whose certificate the kubeconfig does not trust is not talked to", async () => {
  const { api } = await setup({}, true);
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser({ name: "c", server: api.url, skipTLSVerify: false }, { name: "u" });
  const client = new KubeClient({ kubeConfig, attemptMax: 1 });
  onTestFinished(() => client.close());
  await expect(client.get(WIDGETS, A)).rejects.toBeInstanceOf(KubeUnreachableError);
  expect(api.requests).toEqual([]);
});

test("a 429 is waited out for as long as the server asked, then asked again", async () => {
  const clock = new ManualClock();
  const { api, client } = await setup({ clock, random: () => 0 });
  api.cluster.create(WIDGETS, widget("a"));
  api.faults.inject({ kind: "refuse", status: 429, retryAfterSeconds: 7 });
  const answer = client.delete(WIDGETS, A);
  await clock.untilPending(7_000);
  clock.advance(6_999);
  expect(api.requests.length).toBe(1);
  clock.advance(1);
  expect(await answer).toBe(true);
  expect(api.requests.length).toBe(2);
});

test("a server that refuses for good is asked a limited number of times", async () => {
  const { api, client } = await setup({ attemptMax: 3 });
  api.faults.inject({ kind: "refuse", status: 429 }, {}, Infinity);
  await expect(client.get(WIDGETS, A)).rejects.toBeInstanceOf(TooManyRequestsError);
  expect(api.requests.length).toBe(3);
});

test.each(["reset", "cut-body", "garble", "lose-answer"] as const)(
  "a read gets over one answer that fails by %s",
  async (kind) => {
    const { api, client } = await setup();
    api.cluster.create(WIDGETS, widget("a"));
    api.faults.inject({ kind });
    expect((await client.get(WIDGETS, A)).metadata?.name).toBe("a");
  },
);

test.each(["silence", "stall-body"] as const)(
  "a try that ends in %s is given up when its time is over",
  async (kind) => {
    const clock = new ManualClock();
    const { api, client } = await setup({ clock, random: () => 0, attemptTimeoutMs: 4_000 });
    api.cluster.create(WIDGETS, widget("a"));
    api.faults.inject({ kind });
    const answer = client.get(WIDGETS, A);
    await api.bell.until(() => api.requests.length === 1);
    clock.advance(4_000);
    await clock.untilPending(0);
    clock.advance(0);
    expect((await answer).metadata?.name).toBe("a");
  },
);

test("a slow answer is not a failed one", async () => {
  const { api, client } = await setup({ attemptMax: 1 });
  for (let index = 0; index < 50; index++) api.cluster.create(WIDGETS, widget(`w${index}`));
  api.faults.inject({ kind: "slow-body" });
  expect((await client.list(WIDGETS)).items.length).toBe(50);
});

test("a write of which nobody knows whether it was done is not repeated behind its caller's back", async () => {
  const { api, client } = await setup();
  api.faults.inject({ kind: "lose-answer" });
  await expect(client.create(WIDGETS, widget("a"), AS_TEST)).rejects.toBeInstanceOf(KubeUnreachableError);
  expect(api.cluster.find(WIDGETS, A)).toBeDefined();
  api.faults.inject({ kind: "refuse", status: 500 });
  await expect(client.create(WIDGETS, widget("b"), AS_TEST)).rejects.toBeInstanceOf(ServerError);
  expect(api.requests.length).toBe(2);
});

test("a write that takes too long, or whose answer is not JSON, says so", async () => {
  const clock = new ManualClock();
  const { api, client } = await setup({ clock, attemptTimeoutMs: 4_000 });
  api.faults.inject({ kind: "silence" });
  void api.bell.until(() => api.requests.length === 1).then(() => clock.advance(4_000));
  const timedOut = client.create(WIDGETS, widget("a"), AS_TEST);
  await expect(timedOut).rejects.toBeInstanceOf(KubeTimeoutError);
  api.faults.inject({ kind: "garble" });
  await expect(client.create(WIDGETS, widget("a"), AS_TEST)).rejects.toBeInstanceOf(KubeProtocolError);
});

test("a call ends with its signal, during a request and between two", async () => {
  const { api, client } = await setup();
  const reason = new Error("enough");
  const abort = new AbortController();
  api.faults.inject({ kind: "silence" });
  const answer = client.get(WIDGETS, A, { signal: abort.signal });
  await api.bell.until(() => api.requests.length === 1);
  abort.abort(reason);
  await expect(answer).rejects.toBe(reason);
  await expect(client.get(WIDGETS, A, { signal: abort.signal })).rejects.toBe(reason);
  expect(api.requests.length).toBe(1);
});

test("who may not write is refused before each try, and may read", async () => {
  let leads = true;
  const notLeading = new Error("not leading");
  const { api, client } = await setup({
    guard: {
      mayWrite: () => {
        if (!leads) throw notLeading;
      },
    },
  });
  api.cluster.create(WIDGETS, widget("a"));
  api.faults.inject({ kind: "refuse", status: 429 });
  api.bell.onRing(() => (leads = false));
  const patch = { kind: "merge", body: {} } as const;
  await expect(client.patch(WIDGETS, A, patch, AS_TEST)).rejects.toBe(notLeading);
  expect(api.requests.length).toBe(1);
  await expect(client.delete(WIDGETS, A)).rejects.toBe(notLeading);
  expect((await client.get(WIDGETS, A)).metadata?.name).toBe("a");
});

test("nobody at the other end is an error with a code, and no more", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const kubeConfig = new KubeConfig();
  const cluster = { name: "c", server: `http://127.0.0.1:${port}`, skipTLSVerify: true };
  kubeConfig.loadFromClusterAndUser(cluster, { name: "u" });
  const client = new KubeClient({ kubeConfig, attemptMax: 1 });
  onTestFinished(() => client.close());
  await expect(client.get(WIDGETS, A)).rejects.toMatchObject({
    code: "KUBE_UNREACHABLE",
    message: expect.stringContaining("ECONNREFUSED") as string,
  });
});

test("a token is asked for before each request, and a failure to get one is told as such", async () => {
  const { api } = await setup();
  const kubeConfig = api.kubeConfig();
  kubeConfig.users = [{ name: "u", authProvider: { name: "rotating" } }];
  kubeConfig.contexts = [{ name: "loaded-context", cluster: "mock", user: "u" }];
  let asked = 0;
  kubeConfig.addAuthenticator({
    isAuthProvider: (user) => user.authProvider?.name === "rotating",
    applyAuthentication: async (_user, options) => {
      if (++asked === 3) throw new Error("the command failed");
      options.headers = { Authorization: `Bearer token-${asked}` };
    },
  });
  const client = new KubeClient({ kubeConfig });
  onTestFinished(() => client.close());
  await client.list(WIDGETS);
  await client.list(WIDGETS);
  expect(api.requests.map(({ user }) => user)).toEqual(["token-1", "token-2"]);
  await expect(client.list(WIDGETS)).rejects.toBeInstanceOf(KubeCredentialsError);
  await client.list(WIDGETS);
  expect(api.requests.map(({ user }) => user).at(-1)).toBe("token-4");
});

test("a kubeconfig without a cluster is refused at once", () => {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromOptions({ clusters: [], users: [], contexts: [], currentContext: "none" });
  expect(() => new KubeClient({ kubeConfig })).toThrow(/"none" names no cluster/u);
});
