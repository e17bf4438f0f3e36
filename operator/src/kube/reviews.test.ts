/** What the API server says about users and their rights, and that nothing but its yes is a yes. */
import { expect, onTestFinished, test } from "vitest";
import type { MockApiServerOptions } from "../testing/index.ts";
import { MockApiServer } from "../testing/index.ts";
import { KubeProtocolError, KubeTimeoutError, ServerError } from "./errors.ts";
import { KubeClient } from "./kube-client.ts";
import { reviewAccess, reviewToken } from "./reviews.ts";

const ADA = { name: "ada", uid: "1", groups: ["team"], extra: { scope: ["a"] } };
const SIGNAL = {
  verb: "signal",
  group: "memflow.io",
  resource: "workflows",
  subresource: "runs",
  namespace: "shop",
  name: "order",
};

async function setup(
  options: MockApiServerOptions,
): Promise<{ readonly api: MockApiServer; readonly client: KubeClient }> {
  const api = await MockApiServer.start(options);
  const client = new KubeClient({ kubeConfig: api.kubeConfig(), attemptTimeoutMs: 200, attemptMax: 1 });
  onTestFinished(async () => {
    await client.close();
    await api.close();
  });
  return { api, client };
}

test("a token's user comes with groups, uid and extra", async () => {
  const { client } = await setup({
    reviewToken: ({ token, audiences }) => ({
      authenticated: token === "good",
      audiences,
      user: { username: "ada", uid: "1", groups: ["team"], extra: { scope: ["a"] } },
    }),
  });
  expect(await reviewToken(client, { token: "good", audiences: ["memflow"] })).toEqual(ADA);
  expect(await reviewToken(client, { token: "good", audiences: [] })).toEqual(ADA);
  expect(await reviewToken(client, { token: "bad", audiences: [] })).toBeUndefined();
});

test.each([
  ["says yes for another audience", { authenticated: true, audiences: ["other"], user: { username: "ada" } }],
  ["says yes and knows no audiences", { authenticated: true, user: { username: "ada" } }],
  ["says yes and names nobody", { authenticated: true, audiences: ["memflow"], user: {} }],
  ["says nothing", {}],
])("a server that %s authenticates nobody", async (_claim, status) => {
  const { client } = await setup({ reviewToken: () => status });
  expect(await reviewToken(client, { token: "good", audiences: ["memflow"] })).toBeUndefined();
});

test("an access is asked with the whole user and the object", async () => {
  const specs: unknown[] = [];
  const { client } = await setup({
    reviewAccess: (spec) => {
      specs.push(spec);
      return { allowed: true, reason: "by a role" };
    },
  });
  const verdict = await reviewAccess(client, { user: ADA, access: SIGNAL });
  expect(verdict).toEqual({ allowed: true, reason: "by a role" });
  expect(specs).toEqual([
    { user: "ada", uid: "1", groups: ["team"], extra: { scope: ["a"] }, resourceAttributes: SIGNAL },
  ]);
});

test.each([
  ["no", { allowed: false }],
  ["nothing", {}],
  ["yes and a denial", { allowed: true, denied: true }],
])("an answer that holds %s allows nothing", async (_claim, status) => {
  const { client } = await setup({ reviewAccess: () => status });
  expect((await reviewAccess(client, { user: ADA, access: SIGNAL })).allowed).toBe(false);
});

test.each([
  ["refuses", { kind: "refuse", status: 500 } as const, ServerError],
  ["is silent", { kind: "silence" } as const, KubeTimeoutError],
  ["answers half", { kind: "garble" } as const, KubeProtocolError],
])("a server that %s gives an error, without the token in it", async (_claim, fault, ErrorClass) => {
  const { api, client } = await setup({
    reviewToken: () => ({ authenticated: true, user: { username: "ada" } }),
    reviewAccess: () => ({ allowed: true }),
  });
  api.faults.inject(fault, {}, 2);
  const error: unknown = await reviewToken(client, { token: "a-secret", audiences: [] }).catch(
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(ErrorClass);
  expect(String((error as Error).stack)).not.toContain("a-secret");
  await expect(reviewAccess(client, { user: ADA, access: SIGNAL })).rejects.toBeInstanceOf(ErrorClass);
});
