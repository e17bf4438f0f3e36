/** The gateway's own certificate: made once by several, renewed in time, and always one that was published before. */
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { KubeClient, SECRETS } from "@memflow/operator/kube";
import { MockApiServer } from "@memflow/operator/testing";
import { expect, onTestFinished, test } from "vitest";
import { AUTHORITY_LIFE_MS, SERVER_LIFE_MS } from "./core/plan-certificates.ts";
import { ForeignSecretError, keepSelfMadeCertificate } from "./self-made-certificate.ts";
import type { SelfMadeOptions } from "./self-made-certificate.ts";
import type { ServingCertificate } from "./serving-certificate.ts";

const SECRET = { namespace: "memflow", name: "gateway-tls" };
const NAMES = ["gateway.memflow.svc", "localhost", "127.0.0.1", "::1"];
const NOON_MS = Date.parse("2026-11-23T12:00:00Z");

interface Bundle {
  readonly api: MockApiServer;
  readonly options: SelfMadeOptions;
  keep(afterMs?: number, changes?: Partial<SelfMadeOptions>): Promise<ServingCertificate>;
}

async function setup(): Promise<Bundle> {
  const api = await MockApiServer.start({ types: [SECRETS] });
  const client = new KubeClient({ kubeConfig: api.kubeConfig() });
  onTestFinished(async () => {
    await client.close();
    await api.close();
  });
  const options = { client, secret: SECRET, names: NAMES };
  const keep: Bundle["keep"] = (afterMs = 0, changes = {}) =>
    keepSelfMadeCertificate({ ...options, nowMs: () => NOON_MS + afterMs, ...changes });
  return { api, options, keep };
}

/** Whether openssl finds the certificate good for a server of a name, by what was published. */
function verifies({ cert, authority }: ServingCertificate, published = authority, afterMs = 0): boolean {
  const folder = mkdtempSync(join(tmpdir(), "memflow-verify-"));
  try {
    writeFileSync(join(folder, "cert.pem"), cert);
    writeFileSync(join(folder, "ca.pem"), published ?? "");
    const at = String(Math.floor((NOON_MS + afterMs) / 1_000));
    const what = ["-purpose", "sslserver", "-verify_hostname", NAMES[0] ?? "", "-x509_strict", "-attime", at];
    execFileSync("openssl", ["verify", ...what, "-CAfile", "ca.pem", "cert.pem"], {
      cwd: folder,
      stdio: "pipe",
    });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a client that trusts what is published reaches the gateway by each of its names", async () => {
  const { options } = await setup();
  const served = await keepSelfMadeCertificate(options);
  const server = createServer({ cert: served.cert, key: served.key }, (socket) => socket.end());
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  for (const servername of ["gateway.memflow.svc", "localhost"]) {
    const socket = connect({ port, host: "127.0.0.1", servername, ca: served.authority });
    await once(socket, "secureConnect");
    expect(socket.authorized).toBe(true);
    socket.destroy();
  }
  const certificate = new X509Certificate(served.cert);
  expect([certificate.checkIP("127.0.0.1"), certificate.checkIP("::1")]).toEqual(["127.0.0.1", "::1"]);
  expect(certificate.checkHost("other.memflow.svc")).toBeUndefined();
});

test("openssl finds it good, strictly read, and neither without the authority nor after its end", async () => {
  const { keep } = await setup();
  const served = await keep();
  expect(verifies(served)).toBe(true);
  expect(verifies(served, "")).toBe(false);
  expect(verifies(served, served.authority, SERVER_LIFE_MS + 1_000)).toBe(false);
});

test("ten gateways that begin at once serve one certificate", async () => {
  const { keep, api } = await setup();
  const served = await Promise.all(Array.from({ length: 10 }, () => keep()));
  expect(new Set(served.map(({ cert }) => cert)).size).toBe(1);
  expect(api.cluster.find(SECRETS, SECRET)?.metadata?.generation).toBe(1);
});

test("it stands for two thirds of its life, and is then made anew by the same authority", async () => {
  const { keep } = await setup();
  const first = await keep();
  expect(await keep(SERVER_LIFE_MS * 0.6)).toEqual(first);
  const second = await keep(SERVER_LIFE_MS * 0.7);
  expect(second.cert).not.toBe(first.cert);
  expect(second.authority).toBe(first.authority);
  expect(verifies(second, first.authority, SERVER_LIFE_MS * 0.7)).toBe(true);
});

test("through the life of two authorities nobody meets a certificate whose authority was not published a day before", async () => {
  const { keep } = await setup();
  const stepMs = 12 * 3_600_000;
  let published = "";
  const authorities = new Set<string>();
  for (let afterMs = 0; afterMs < AUTHORITY_LIFE_MS * 1.1; afterMs += stepMs) {
    // Far from any change a month is no news.
    const isNear = Math.abs(afterMs - (AUTHORITY_LIFE_MS - 365 * 86_400_000)) < 5 * 86_400_000;
    if (!isNear && afterMs % (30 * 86_400_000) !== 0) continue;
    const served = await keep(afterMs);
    authorities.add(served.authority ?? "");
    if (published !== "") expect(verifies(served, published, afterMs)).toBe(true);
    expect(verifies(served, served.authority, afterMs)).toBe(true);
    published = served.authority ?? "";
  }
  // One, both with the new one waiting, both with the old one waiting to end.
  expect(authorities.size).toBe(3);
}, 120_000);

test("names that were added are in the next certificate", async () => {
  const { keep } = await setup();
  const first = await keep();
  const second = await keep(0, { names: [...NAMES, "workflows.example.com"] });
  expect(second.authority).toBe(first.authority);
  expect(new X509Certificate(second.cert).checkHost("workflows.example.com")).toBe("workflows.example.com");
});

test("a Secret that somebody spoilt is made anew, and one that somebody else made is left alone", async () => {
  const { keep, api } = await setup();
  await keep();
  const spoilt = api.cluster.find(SECRETS, SECRET);
  api.cluster.replace(SECRETS, { ...spoilt, data: { ...spoilt?.data, "tls.crt": "", "ca.crt": "?" } });
  expect(verifies(await keep())).toBe(true);
  api.cluster.delete(SECRETS, SECRET);
  const foreign = api.cluster.create(SECRETS, { metadata: SECRET, data: {} });
  await expect(keep()).rejects.toBeInstanceOf(ForeignSecretError);
  expect(api.cluster.find(SECRETS, SECRET)).toEqual(foreign);
});
