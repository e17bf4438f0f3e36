/** A whole gateway: over real TLS against a mock API server, and alone with a database. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { get } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { resolveConnection } from "@memflow/engine";
import { testDatabaseUrl } from "@memflow/engine/testing";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import { STORES, TASK_QUEUES, WORKFLOWS } from "@memflow/operator/api";
import { CONFIG_MAPS, SECRETS } from "@memflow/operator/kube";
import { MockApiServer } from "@memflow/operator/testing";
import { expect, onTestFinished, test } from "vitest";
import type { AuditEntry } from "./auth/index.ts";
import { readConfig } from "./config.ts";
import { runGateway } from "./gateway-process.ts";
import type { GatewayPorts } from "./gateway-process.ts";
import { makeTestAuthority } from "./testing/openssl.ts";
import type { KeyPair } from "./testing/openssl.ts";
import { AUTHORITY_CONFIG_MAP } from "./tls/publish-authority.ts";

const QUICK = {
  MEMFLOW_GATEWAY_HOST: "127.0.0.1",
  MEMFLOW_GATEWAY_PORT: "0",
  MEMFLOW_GATEWAY_HEALTH_PORT: "0",
  MEMFLOW_GATEWAY_STOP_DELAY: "0s",
};
const AUTHORITY = { namespace: "kube-system", name: "extension-apiserver-authentication" };

interface Running {
  readonly ports: GatewayPorts;
  readonly logged: readonly string[];
  readonly audited: readonly AuditEntry[];
  stop(): Promise<void>;
}

async function run(environment: Readonly<Record<string, string>>, api?: MockApiServer): Promise<Running> {
  const stopping = new AbortController();
  const listening = Promise.withResolvers<GatewayPorts>();
  const audited: AuditEntry[] = [];
  const logged: string[] = [];
  const ended = runGateway(
    {
      config: readConfig({ ...QUICK, ...environment }),
      kubeConfig: api?.kubeConfig("gateway"),
      log: (_level, message) => logged.push(message),
      audit: { record: (entry) => audited.push(entry) },
      onListening: listening.resolve,
    },
    stopping.signal,
  );
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  onTestFinished(stop);
  return {
    ports: await Promise.race([listening.promise, ended.then(() => Promise.reject(new Error("ended")))]),
    logged,
    audited,
    stop,
  };
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function answerOf(sent: {
  on(event: "response", handler: (response: IncomingMessage) => void): unknown;
}): Promise<Answer> {
  const [response] = (await once(sent as never, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() };
}

interface Client {
  readonly ca: string;
  readonly pair?: KeyPair;
  readonly token?: string;
  readonly as?: string;
}

async function ask(port: number, path: string, { ca, pair, token, as }: Client): Promise<Answer> {
  const agent = new Agent();
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(as === undefined ? {} : { "impersonate-user": as }),
  };
  const sent = httpsRequest({
    host: "127.0.0.1",
    port,
    path,
    servername: "gw.memflow.svc",
    ca,
    agent,
    headers,
    ...pair,
  });
  sent.end();
  return answerOf(sent);
}

test("in a cluster it serves with a certificate that it publishes, to whom the cluster knows, and ends in order", async () => {
  const api = await MockApiServer.start({
    types: [STORES, TASK_QUEUES, WORKFLOWS, SECRETS, CONFIG_MAPS],
    reviewToken: ({ token }) => ({
      authenticated: token === "good",
      user: { username: "grace", groups: [] },
    }),
  });
  onTestFinished(() => api.close());
  const first = makeTestAuthority();
  const data = { "client-ca-file": first.cert };
  const published = api.cluster.create(CONFIG_MAPS, { metadata: AUTHORITY, data });
  const names = { MEMFLOW_GATEWAY_NAMESPACE: "memflow", MEMFLOW_GATEWAY_TLS_NAMES: "gw.memflow.svc" };
  const { ports, audited, stop } = await run(names, api);
  const known = api.cluster.find(CONFIG_MAPS, { namespace: "memflow", name: AUTHORITY_CONFIG_MAP })?.data;
  expect(known).toMatchObject({ serverName: "gw.memflow.svc" });
  const ca = known?.["ca.crt"] ?? "";

  const pair = first.issue({ subject: "/O=team/CN=ada" });
  const whoami = async (client: Omit<Client, "ca">): Promise<Answer> =>
    ask(ports.api, "/v1/whoami", { ca, ...client });
  expect(JSON.parse((await whoami({ pair })).text)).toMatchObject({ user: "ada" });
  expect(JSON.parse((await whoami({ token: "good" })).text)).toMatchObject({ user: "grace" });
  expect((await whoami({ token: "bad" })).status).toBe(401);
  expect((await whoami({})).status).toBe(401);
  expect((await whoami({ pair, as: "root" })).status).toBe(403);
  expect(
    audited.map(({ subject, access, outcome }) => [subject.name, access.verb, access.name, outcome]),
  ).toEqual([["ada", "impersonate", "root", "denied"]]);
  await expect(ask(ports.api, "/v1/whoami", { ca: makeTestAuthority().cert, token: "good" })).rejects.toThrow(
    /certificate/u,
  );

  const denied = await ask(ports.api, "/v1/namespaces/shop/runs", { ca, pair });
  expect([denied.status, audited.length]).toEqual([404, 1]);
  const second = makeTestAuthority("/CN=second");
  api.cluster.replace(CONFIG_MAPS, { ...published, data: { "client-ca-file": second.cert } });
  const other = second.issue({ subject: "/CN=bob" });
  await expect.poll(async () => (await whoami({ pair: other })).status).toBe(200);
  expect((await whoami({ pair })).status).toBe(401);

  const health = async (path: string): Promise<Answer> =>
    answerOf(get({ port: ports.health, path, host: "127.0.0.1" }));
  expect(await health("/readyz")).toEqual({ status: 200, text: "ready\n" });
  expect((await health("/metrics")).text).toContain(
    'memflow_gateway_requests_total{operation="whoami",status="401"}',
  );
  await stop();
  await expect(whoami({ pair: other })).rejects.toThrow();
});

test("a certificate that was replaced is served to new connections without a restart", async () => {
  const api = await MockApiServer.start({ types: [STORES, TASK_QUEUES, WORKFLOWS, SECRETS, CONFIG_MAPS] });
  onTestFinished(() => api.close());
  const folder = await mkdtemp(join(tmpdir(), "memflow-tls-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const authority = makeTestAuthority();
  const give = async (): Promise<string> => {
    const { cert, key } = authority.issue({
      subject: "/CN=gw",
      purpose: "serverAuth",
      names: "DNS:gw.memflow.svc",
    });
    await Promise.all([writeFile(`${folder}/tls.crt`, cert), writeFile(`${folder}/tls.key`, key)]);
    return new X509Certificate(cert).serialNumber;
  };
  const before = await give();
  const { ports, logged } = await run(
    {
      MEMFLOW_GATEWAY_NAMESPACE: "memflow",
      MEMFLOW_GATEWAY_TLS_CERT_FILE: `${folder}/tls.crt`,
      MEMFLOW_GATEWAY_TLS_KEY_FILE: `${folder}/tls.key`,
    },
    api,
  );
  const servedSerial = async (): Promise<string> => {
    const agent = new Agent();
    const sent = httpsRequest({
      host: "127.0.0.1",
      port: ports.api,
      path: "/openapi.json",
      ca: authority.cert,
      servername: "gw.memflow.svc",
      agent,
    });
    sent.end();
    const [socket] = (await once(sent, "socket")) as [TLSSocket];
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    await answerOf(sent);
    agent.destroy();
    return serialNumber;
  };
  expect(await servedSerial()).toBe(before);
  // Half of a pair, as while somebody writes the files: the one before is served on.
  await writeFile(`${folder}/tls.key`, authority.issue({ subject: "/CN=other" }).key);
  await expect
    .poll(() => logged.some((message) => message.includes("can't be had")), { timeout: 30_000 })
    .toBe(true);
  expect(await servedSerial()).toBe(before);
  const after = await give();
  await expect.poll(servedSerial, { timeout: 30_000, interval: 500 }).toBe(after);
});

test("without a cluster and keys it serves one database to this machine", async () => {
  const { place } = await makeScratchStore();
  expect(resolveConnection(testDatabaseUrl()).describe()).toBe(place.source.describe());
  const { ports, audited } = await run({
    MEMFLOW_GATEWAY_DATABASE_URL: testDatabaseUrl(),
    MEMFLOW_GATEWAY_SCHEMA: place.schema,
  });
  const path = "/v1/namespaces/default/runs";
  const listed = await answerOf(get({ port: ports.api, path, host: "127.0.0.1" }));
  expect([listed.status, JSON.parse(listed.text)]).toMatchObject([200, { runs: [] }]);
  expect(audited.map(({ subject, access, outcome }) => [subject.via, access.verb, outcome])).toEqual([
    ["loopback", "list", "allowed"],
  ]);
  const rebound = get({ port: ports.api, path, host: "127.0.0.1", headers: { host: "evil.example" } });
  expect((await answerOf(rebound)).status).toBe(401);
});
