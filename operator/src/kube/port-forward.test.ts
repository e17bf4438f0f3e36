/** A tunnel to a pod: its bytes are the pod's, its end is either side's, and a refusal has the API server's words. */
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { MockApiServer } from "../testing/index.ts";
import { ForbiddenError, KubeProtocolError, KubeUnreachableError } from "./errors.ts";
import { openPortForward } from "./port-forward.ts";

const TARGET = { namespace: "memflow", pod: "gateway-1", port: 8443 };
const MEGABYTE = 2 ** 20;

async function echo(): Promise<Server> {
  const server = createServer((socket) => socket.pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return server;
}

async function mock(
  forward: (target: { readonly port: number }) => number | undefined,
): Promise<MockApiServer> {
  const api = await MockApiServer.start({ forward });
  onTestFinished(() => api.close());
  return api;
}

test("what goes in comes out as the pod sends it, megabytes of it", async () => {
  const { port } = (await echo()).address() as AddressInfo;
  const api = await mock((target) => (target.port === TARGET.port ? port : undefined));
  const stream = await openPortForward(api.kubeConfig(), TARGET);
  const sent = Buffer.alloc(3 * MEGABYTE, "memflow ");
  let received = Buffer.alloc(0);
  stream.write(sent);
  for await (const chunk of stream) {
    received = Buffer.concat([received, chunk as Buffer]);
    if (received.length >= sent.length) break;
  }
  expect(received.equals(sent)).toBe(true);
});

test("the stream ends when the pod closes", async () => {
  const server = createServer((socket) => socket.end("bye"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const api = await mock(() => (server.address() as AddressInfo).port);
  expect(await text(await openPortForward(api.kubeConfig(), TARGET))).toBe("bye");
});

test("a refusal says who may not", async () => {
  const api = await mock(() => undefined);
  await expect(openPortForward(api.kubeConfig("mallory"), TARGET)).rejects.toThrow(ForbiddenError);
  await expect(openPortForward(api.kubeConfig("mallory"), TARGET)).rejects.toThrow(/user "mallory"/u);
});

test("a port on which nobody listens breaks the stream with its reason", async () => {
  const server = await echo();
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const api = await mock(() => port);
  const stream = await openPortForward(api.kubeConfig(), TARGET);
  await expect(text(stream)).rejects.toThrow(KubeProtocolError);
});

test("an API server that is not there is named", async () => {
  const api = await MockApiServer.start();
  const kubeConfig = api.kubeConfig();
  await api.close();
  await expect(openPortForward(kubeConfig, TARGET)).rejects.toThrow(KubeUnreachableError);
});
