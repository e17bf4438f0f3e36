/**
 * A connection to a port of a pod, through the API server: what `kubectl port-forward` does, without a port on this machine.
 *
 * Promises a stream whose bytes are the pod's and nothing else, that ends when either side does, and the API server's own words
 * when it refuses. Needs the verbs `get` and `create` on `pods/portforward`. It tries nothing twice.
 *
 * @see https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/#-strong-proxy-operations-pod-v1-core-strong-
 */
import type { IncomingMessage } from "node:http";
import type { RequestOptions } from "node:https";
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import type { KubeConfig } from "@kubernetes/client-node";
import { WebSocket } from "ws";
import { KubeCredentialsError, KubeError, KubeProtocolError, KubeUnreachableError } from "./errors.ts";
import { objectPath } from "./resource-type.ts";
import { PODS } from "./kubernetes-kinds.ts";
import { answerError } from "./status-answer.ts";

/** Where to. */
export interface PortForwardTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

const PROTOCOL = "v4.channel.k8s.io";
const DATA_CHANNEL = 0;
const ERROR_CHANNEL = 1;
/** The first message of each channel is the port's number. */
const PORT_BYTES = 2;
const HANDSHAKE_TIMEOUT_MS = 15_000;

/**
 * Opens a connection.
 *
 * @throws {KubeError} When the API server refuses it, can't be reached, or the credentials can't be had.
 */
export async function openPortForward(kubeConfig: KubeConfig, target: PortForwardTarget): Promise<Duplex> {
  const path = objectPath(PODS, { namespace: target.namespace, name: target.pod }, "portforward");
  const request = `GET ${path}`;
  const options: RequestOptions = {};
  try {
    await kubeConfig.applyToHTTPSOptions(options);
  } catch (cause) {
    throw new KubeCredentialsError(request, cause);
  }
  const server = kubeConfig.getCurrentCluster()?.server ?? "";
  const url = `${server.replace(/^http/u, "ws").replace(/\/+$/u, "")}${path}?ports=${target.port}`;
  const socket = new WebSocket(url, [PROTOCOL], {
    ...(options as object),
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    perMessageDeflate: false,
  });
  const stream = new PortForwardStream(socket, request);
  await opened(socket, request);
  return stream;
}

function opened(socket: WebSocket, request: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("unexpected-response", (_, response: IncomingMessage) => {
      readRefusal(request, response).then(reject, reject);
    });
    socket.once("error", (error) => reject(new KubeUnreachableError(request, error)));
  });
}

async function readRefusal(request: string, response: IncomingMessage): Promise<KubeError> {
  const retryAfter = response.headers["retry-after"];
  return answerError(request, { status: response.statusCode ?? 0, retryAfter, text: await text(response) });
}

/** The data channel of a web socket as a stream. */
class PortForwardStream extends Duplex {
  readonly #socket: WebSocket;
  readonly #request: string;
  /** Channels whose port number has come. */
  readonly #announced = new Set<number>();

  constructor(socket: WebSocket, request: string) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#request = request;
    socket.binaryType = "nodebuffer";
    socket.on("message", (message: Buffer) => this.#hear(message));
    socket.on("close", () => this.push(null));
    // What goes wrong before is told by the promise of the opening.
    socket.once("open", () => socket.on("error", (error) => this.destroy(error)));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#socket.send(Buffer.concat([Buffer.of(DATA_CHANNEL), chunk]), callback);
  }

  /** The protocol knows no half-closed connection. */
  override _final(callback: (error?: Error | null) => void): void {
    this.#socket.close();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#socket.terminate();
    callback(error);
  }

  #hear(message: Buffer): void {
    const [channel = DATA_CHANNEL] = message;
    let data = message.subarray(1);
    if (!this.#announced.has(channel)) {
      this.#announced.add(channel);
      data = data.subarray(PORT_BYTES);
    }
    if (data.length === 0) return;
    if (channel === ERROR_CHANNEL) {
      this.destroy(new KubeProtocolError(this.#request, data.toString("utf8").trim()));
    } else if (channel === DATA_CHANNEL && !this.push(data)) {
      this.#socket.pause();
    }
  }
}
