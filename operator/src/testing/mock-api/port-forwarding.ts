/**
 * Port-forwarding of the mock API server: web sockets in the form of Kubernetes, each to a port on loopback.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go
 */
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";

/** What a caller wants to reach, and who it is. */
export interface ForwardedPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
  readonly user: string;
}

const PATH = /^\/api\/v1\/namespaces\/(?<namespace>[^/]+)\/pods\/(?<pod>[^/]+)\/portforward$/u;
const PROTOCOL = "v4.channel.k8s.io";
const DATA_CHANNEL = 0;
const ERROR_CHANNEL = 1;
const CHANNELS = [DATA_CHANNEL, ERROR_CHANNEL];

/** A listener of a server's `upgrade`. */
export function portForwarding(
  portOf: (target: ForwardedPort) => number | undefined,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const server = new WebSocketServer({ noServer: true, handleProtocols: () => PROTOCOL });
  return (request, socket, head) => {
    const url = new URL(request.url ?? "/", "http://mock");
    const { namespace = "", pod = "" } = PATH.exec(url.pathname)?.groups ?? {};
    const port = Number(url.searchParams.get("ports"));
    const user = (request.headers.authorization ?? "").replace(/^Bearer /u, "");
    const local = portOf({ namespace, pod, port, user });
    if (local === undefined) refuse(socket, `pods "${pod}" is forbidden: user "${user}" cannot portforward`);
    else server.handleUpgrade(request, socket, head, (opened) => join(opened, { port, local }));
  };
}

function refuse(socket: Duplex, message: string): void {
  const body = JSON.stringify({ kind: "Status", code: 403, reason: "Forbidden", message });
  socket.end(
    `HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function join(opened: WebSocket, { port, local }: { readonly port: number; readonly local: number }): void {
  const number = Buffer.of(port & 0xff, port >> 8);
  for (const channel of CHANNELS) opened.send(Buffer.concat([Buffer.of(channel), number]));
  const connection = connect({ host: "127.0.0.1", port: local });
  connection.on("data", (data: Buffer) => opened.send(Buffer.concat([Buffer.of(DATA_CHANNEL), data])));
  connection.on("error", (error) => {
    opened.send(Buffer.concat([Buffer.of(ERROR_CHANNEL), Buffer.from(error.message)]));
  });
  connection.on("close", () => opened.close());
  opened.on("message", (message: Buffer) => connection.write(message.subarray(1)));
  opened.on("close", () => connection.destroy());
}
