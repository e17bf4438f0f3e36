/** What every request meets: limits, forms, ids, and answers that are problems. */
import { expect, test } from "vitest";
import { PROBLEMS } from "../api/index.ts";
import { NAMESPACE, startTestGateway } from "../testing/test-gateway.ts";
import type { TestGateway } from "../testing/test-gateway.ts";

const RUNS = `/v1/namespaces/${NAMESPACE}/runs`;

async function problemOf(response: Response): Promise<Record<string, unknown>> {
  expect(response.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
  const problem = (await response.json()) as Record<string, unknown>;
  expect(problem).toMatchObject({
    status: response.status,
    type: `https://memflow.io/problems/${String(problem["code"])}`,
    title: PROBLEMS[problem["code"] as keyof typeof PROBLEMS].title,
    instance: response.headers.get("x-request-id"),
  });
  return problem;
}

type Body = NonNullable<RequestInit["body"]>;

function post(
  gateway: TestGateway,
  body: Body,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return gateway.raw(RUNS, {
    method: "POST",
    body,
    // A stream is sent as it is made.
    duplex: "half",
    headers: { "content-type": "application/json", ...headers },
  });
}

test("a body that is too large, too deep, or no JSON is refused before anything is done", async () => {
  const gateway = await startTestGateway({ limits: { bodyBytesMax: 1_000, bodyDepthMax: 5 } });
  const codeOf = async (body: Body, headers?: Readonly<Record<string, string>>) =>
    (await problemOf(await post(gateway, body, headers)))["code"];
  expect(await codeOf(JSON.stringify({ workflow: "x".repeat(1_000) }))).toBe("TooLarge");
  expect(await codeOf(streamOf(["{", " ".repeat(2_000), "}"]))).toBe("TooLarge");
  expect(await codeOf(JSON.stringify({ workflow: "w", input: [[[[[1]]]]] }))).toBe("TooDeep");
  expect(await codeOf("{")).toBe("NotJson");
  expect(await codeOf(new Uint8Array([0x22, 0xff, 0x22]))).toBe("NotJson");
  expect(await codeOf("{}", { "content-type": "text/plain" })).toBe("UnsupportedMediaType");
  expect(await codeOf("{}", { "content-type": "application/json; charset=latin1" })).toBe(
    "UnsupportedMediaType",
  );
  expect(await codeOf("{}", { "content-encoding": "gzip" })).toBe("UnsupportedMediaType");
  expect(await gateway.store.sql("select from :schema.runs")).toEqual([]);
  expect(gateway.failures).toEqual([]);
});

function streamOf(parts: readonly string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(parts.map((part) => new TextEncoder().encode(part)));
}

test("every fault of a request is named by its place", async () => {
  const gateway = await startTestGateway();
  const bad = await gateway.raw(
    `${RUNS}?pageSize=x&nonsense=1&status=asleep&startedAfter=today&store=a&store=b`,
  );
  expect(await problemOf(bad)).toMatchObject({
    code: "Invalid",
    errors: expect.arrayContaining(
      ["pageSize", "nonsense", "status", "startedAfter", "store"].map((name) =>
        expect.objectContaining({ path: `query.${name}` }),
      ),
    ),
  });
  expect(await problemOf(await gateway.raw(`${RUNS}/one`))).toMatchObject({
    errors: [{ path: "path.runId" }],
  });
  expect(await problemOf(await post(gateway, '{"workflow": 7, "more": 1}'))).toMatchObject({
    errors: [{ path: "body.workflow", message: expect.stringContaining("got 7") }, { path: "body.more" }],
  });
  expect((await gateway.raw(`${RUNS}/%E0%A4%A`)).status).toBe(400);
  expect((await gateway.raw("/v1/nothing")).status).toBe(404);
});

test("a path tells which methods it has", async () => {
  const gateway = await startTestGateway();
  const response = await gateway.raw(RUNS, { method: "DELETE" });
  expect(await problemOf(response)).toMatchObject({ code: "MethodNotAllowed" });
  expect(response.headers.get("allow")?.split(", ").toSorted()).toEqual(["GET", "POST"]);
  expect((await gateway.raw(`${RUNS}:execute`)).status).toBe(405);
});

test("an answer in no form that the caller takes is not made", async () => {
  const gateway = await startTestGateway();
  const response = await gateway.raw(RUNS, { headers: { accept: "text/html" } });
  expect(await problemOf(response)).toMatchObject({ code: "NotAcceptable", status: 406 });
});

test("a caller who asks too often is told when to come again, and others are not held up", async () => {
  const gateway = await startTestGateway({ limits: { requestsPerSecond: 0.01, burst: 3 } });
  const ask = (user: string) =>
    fetch(`${gateway.url()}/v1/whoami`, { headers: { authorization: `Bearer ${user}` } });
  for (let request = 0; request < 3; request += 1) expect((await ask("busy")).status).toBe(200);
  const refused = await ask("busy");
  expect(await problemOf(refused)).toMatchObject({ code: "TooManyRequests", status: 429 });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await ask("other")).status).toBe(200);
});

test("a request keeps the id that it brings, and the audit log has it", async () => {
  const gateway = await startTestGateway();
  const response = await gateway.raw(RUNS, { headers: { "x-request-id": "mine-1" } });
  expect(response.headers.get("x-request-id")).toBe("mine-1");
  expect(gateway.audit.at(-1)).toMatchObject({
    requestId: "mine-1",
    subject: { name: "root" },
    access: { verb: "list", resource: "workflows/runs", namespace: NAMESPACE },
    outcome: "allowed",
    status: 200,
  });
  const odd = await gateway.raw(RUNS, { headers: { "x-request-id": "two words" } });
  expect(odd.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/u);
});

test("the document is served to whoever asks", async () => {
  const gateway = await startTestGateway();
  const response = await fetch(`${gateway.url()}/openapi.json`);
  expect(await response.json()).toMatchObject({ openapi: "3.1.0" });
});

test("while a Store's database is away the answer is to come again, and nothing of it shows", async () => {
  const gateway = await startTestGateway();
  await gateway.engine.close();
  const response = await gateway.raw(RUNS);
  expect(await problemOf(response)).toMatchObject({ code: "Unavailable", status: 503 });
  expect(response.headers.get("retry-after")).toBe("1");
});
