/**
 * The way to a cluster's gateway: port-forward, verified TLS inside it, and the user's own identity inside that. The API server is the
 * mock; the gateway at the other end is a bare TLS server that says what it was shown.
 */
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { CONFIG_MAPS, PODS, SERVICES } from "@memflow/operator/kube";
import { MockApiServer } from "@memflow/operator/testing";
import { expect, onTestFinished, test } from "vitest";
import type { CliIo } from "../cli/cli-io.ts";
import type { GlobalOptions } from "../cli/global-options.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { openGateway } from "./open-gateway.ts";
import {
  ADA_CERTIFICATE,
  ADA_KEY,
  CLIENT_AUTHORITY,
  GATEWAY_AUTHORITY,
  GATEWAY_CERTIFICATE,
  GATEWAY_KEY,
  OTHER_AUTHORITY,
} from "./testing/certificates.ts";

const NAMESPACE = "memflow";
const LABELS = { app: "gateway" };

/** What a gateway saw of one request. */
interface Seen {
  readonly certificate: string | undefined;
  readonly authorization: string | undefined;
  readonly users: readonly string[] | undefined;
  readonly groups: readonly string[] | undefined;
}

interface Setup {
  readonly api: MockApiServer;
  readonly seen: Seen[];
  readonly io: CliIo;
  readonly said: () => string;
  /** Options for a user of the kubeconfig. */
  readonly as: (user: Readonly<Record<string, unknown>>) => Promise<GlobalOptions>;
}

async function setup(
  wish: { readonly authority?: string; readonly takesCertificates?: boolean } = {},
): Promise<Setup> {
  const seen: Seen[] = [];
  const takesCertificates = wish.takesCertificates ?? true;
  const gateway = createServer(
    {
      cert: GATEWAY_CERTIFICATE,
      key: GATEWAY_KEY,
      ca: CLIENT_AUTHORITY,
      requestCert: takesCertificates,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const socket = request.socket as TLSSocket;
      const subject = socket.authorized ? socket.getPeerCertificate().subject : undefined;
      const { authorization } = request.headers;
      seen.push({
        certificate: subject === undefined ? undefined : String(subject.CN),
        authorization,
        users: request.headersDistinct["impersonate-user"],
        groups: request.headersDistinct["impersonate-group"],
      });
      const isKnown = subject !== undefined || authorization !== undefined;
      response.writeHead(isKnown ? 200 : 401, {
        "content-type": isKnown ? "application/json" : "application/problem+json",
        "www-authenticate": takesCertificates ? "Bearer, Certificate" : "Bearer",
      });
      const problem = { code: "Unauthenticated", status: 401, detail: "nobody is known by this request" };
      response.end(
        JSON.stringify(isKnown ? { user: subject?.CN ?? "by token", groups: [], via: "token" } : problem),
      );
    },
  );
  gateway.listen(0, "127.0.0.1");
  await once(gateway, "listening");
  const { port } = gateway.address() as AddressInfo;
  const api = await MockApiServer.start({
    types: [SERVICES, PODS, CONFIG_MAPS],
    forward: (target) => (target.pod === "gateway-1" && target.port === 8443 ? port : undefined),
  });
  installGateway(api, wish.authority ?? GATEWAY_AUTHORITY);
  const folder = await mkdtemp(path.join(tmpdir(), "memflow-connect-"));
  onTestFinished(async () => {
    gateway.closeAllConnections();
    gateway.close();
    await api.close();
    await rm(folder, { recursive: true, force: true });
  });
  let said = "";
  const io: CliIo = {
    stdout: { write: () => undefined },
    stderr: { write: (text) => void (said += text) },
    stdin: (async function* empty() {})(),
    environment: {},
    folder,
    name: "kubectl memflow",
    interruption: () => new AbortController().signal,
  };
  return {
    api,
    seen,
    io,
    said: () => said,
    as: async (user) => {
      const kubeconfig = path.join(folder, "config");
      await writeFile(kubeconfig, JSON.stringify(kubeConfigOf(api.url, user)));
      return { headers: true, kubeconfig };
    },
  };
}

function installGateway(api: MockApiServer, authority: string): void {
  api.cluster.create(SERVICES, {
    metadata: { name: "memflow-gateway", namespace: NAMESPACE },
    spec: { selector: LABELS, ports: [{ name: "https", port: 443, targetPort: 8443 }] },
  });
  api.cluster.create(PODS, {
    metadata: { name: "gateway-1", namespace: NAMESPACE, labels: LABELS },
    spec: { containers: [{ name: "gateway" }] },
    status: { conditions: [{ type: "Ready", status: "True" }] },
  });
  api.cluster.create(CONFIG_MAPS, {
    metadata: { name: "memflow-gateway-ca", namespace: NAMESPACE },
    data: { "ca.crt": authority },
  });
}

function kubeConfigOf(server: string, user: Readonly<Record<string, unknown>>): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "mock", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "user", user }],
    contexts: [{ name: "mock", context: { cluster: "mock", user: "user", namespace: "shop" } }],
    "current-context": "mock",
  };
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const ADA = { "client-certificate-data": base64(ADA_CERTIFICATE), "client-key-data": base64(ADA_KEY) };

async function whoami(options: GlobalOptions, io: CliIo): Promise<string> {
  const connection = await openGateway(options, io);
  try {
    return (await connection.client.call("whoami", {})).body.user;
  } finally {
    await connection.close();
  }
}

test("a user with a client certificate alone is known by it inside the tunnel, and no token is asked for", async () => {
  const { as, io, seen, api } = await setup();
  expect(await whoami(await as(ADA), io)).toBe("ada");
  expect(seen).toEqual([
    { certificate: "ada", authorization: undefined, users: undefined, groups: undefined },
  ]);
  expect(api.requestsOf("create")).toEqual([]);
});

test("a user with a token shows the token", async () => {
  const { as, io, seen } = await setup();
  expect(await whoami(await as({ token: "ada-token" }), io)).toBe("by token");
  expect(seen).toMatchObject([{ certificate: undefined, authorization: "Bearer ada-token" }]);
});

test("--as and each --as-group are sent on, and not to the API server", async () => {
  const { as, io, seen, api } = await setup();
  const options = { ...(await as(ADA)), as: "bob", asGroup: ["dev", "ops, all"] };
  await whoami(options, io);
  expect(seen).toMatchObject([{ certificate: "ada", users: ["bob"], groups: ["dev", "ops, all"] }]);
  expect(api.requests.filter(({ headers }) => "impersonate-user" in headers)).toEqual([]);
});

test("a gateway of another authority sees nothing of the user", async () => {
  const { as, io, seen } = await setup({ authority: OTHER_AUTHORITY });
  await expect(whoami(await as({ token: "ada-token" }), io)).rejects.toMatchObject({
    cause: expect.objectContaining({
      exitCode: EXIT_CODES.failure,
      message: expect.stringMatching(/not to be trusted.*no credentials were sent/su) as string,
    }) as unknown,
  });
  expect(seen).toEqual([]);
});

test("the namespace is the context's unless another one is named", async () => {
  const { as, io } = await setup();
  const options = await as(ADA);
  for (const [given, namespace] of [
    [options, "shop"],
    [{ ...options, namespace: "other" }, "other"],
  ] as const) {
    const connection = await openGateway(given, io);
    expect(connection.namespace).toBe(namespace);
    await connection.close();
  }
});

test("where no client certificates are taken, who has nothing else is told that no service account helps", async () => {
  const { as, io, seen } = await setup({ takesCertificates: false });
  await expect(whoami(await as(ADA), io)).rejects.toMatchObject({
    exitCode: EXIT_CODES.forbidden,
    message: expect.stringContaining('service account "memflow/memflow-cli"') as string,
  });
  expect(seen).toHaveLength(1);
});

test("a cluster without a gateway says how to have one", async () => {
  const { as, io } = await setup();
  const options = { ...(await as(ADA)), gatewayNamespace: "elsewhere" };
  await expect(whoami(options, io)).rejects.toMatchObject({
    cause: expect.objectContaining({
      message: expect.stringMatching(/no gateway in namespace "elsewhere".*--gateway-namespace/su) as string,
    }) as unknown,
  });
});
