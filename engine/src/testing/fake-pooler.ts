/**
 * A pooler in transaction mode, small enough to be read: what PgBouncer does to sessions, where it is not installed.
 *
 * Promises that each transaction runs on a backend of its own choosing (the one that was used last and is free), that a
 * client keeps no backend between them, and that notifications reach nobody. Knows texts without parameters only, takes
 * every password, and tells errors by SQLSTATE and message alone.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import pg from "pg";

const AUTHENTICATION_OK = 0;
const TEXT_OID = 25;

/** Made by `startFakePooler`. */
export class FakePooler {
  readonly #server: Server;
  readonly #databaseUrl: string;
  readonly #backends: pg.Client[] = [];
  /** Free backends; the one used last is at the end. */
  readonly #free: pg.Client[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await Promise.all(this.#backends.map((backend) => backend.end()));
  }

  /** Answers the messages of one client, one after another. */
  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const answerNext = this.#answering(socket);
    const reader = new MessageReader();
    let tail = Promise.resolve();
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (bytes) => {
      for (const message of reader.read(bytes)) tail = tail.then(() => answerNext(message));
    });
  }

  /** Answers a client's messages; keeps its backend for as long as a transaction is open. */
  #answering(socket: Socket): (message: FrontendMessage) => Promise<void> {
    let held: pg.Client | undefined;
    socket.on("close", () => {
      if (held !== undefined) this.#free.push(held);
      held = undefined;
    });
    return async ({ type, body }) => {
      if (type === "startup") socket.write(greeting());
      else if (type === "Q")
        held = await this.#answer(socket, body.toString("utf8", 0, body.length - 1), held);
      else socket.end();
    };
  }

  /** Runs one text; returns the backend when its transaction is still open. */
  async #answer(socket: Socket, text: string, held: pg.Client | undefined): Promise<pg.Client | undefined> {
    const backend = held ?? this.#free.pop() ?? (await this.#openBackend());
    try {
      const result = await backend.query<(string | null)[]>({ text, rowMode: "array" });
      socket.write(answerOf(result));
    } catch (error) {
      socket.write(failureOf(error));
    }
    const status = backend.getTransactionStatus() ?? "I";
    socket.write(message("Z", Buffer.from(status)));
    if (status !== "I") return backend;
    this.#free.push(backend);
    return undefined;
  }

  async #openBackend(): Promise<pg.Client> {
    const backend = new pg.Client({
      connectionString: this.#databaseUrl,
      types: { getTypeParser: () => String },
    });
    backend.on("error", () => undefined);
    await backend.connect();
    this.#backends.push(backend);
    return backend;
  }
}

interface FrontendMessage {
  /** The first message of a connection has no type. */
  readonly type: string;
  readonly body: Buffer;
}

/** Cuts a stream of bytes into messages. */
class MessageReader {
  #unread = Buffer.alloc(0);
  #started = false;

  /** The messages that are complete with these bytes. */
  *read(bytes: Buffer): Generator<FrontendMessage> {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    for (;;) {
      const typeBytes = this.#started ? 1 : 0;
      const headBytes = typeBytes + 4;
      if (this.#unread.length < headBytes) return;
      const messageBytes = typeBytes + this.#unread.readInt32BE(typeBytes);
      if (this.#unread.length < messageBytes) return;
      const type = this.#started ? this.#unread.toString("latin1", 0, 1) : "startup";
      const body = this.#unread.subarray(headBytes, messageBytes);
      this.#unread = this.#unread.subarray(messageBytes);
      this.#started = true;
      yield { type, body };
    }
  }
}

/** Starts a pooler before the database at `databaseUrl`, on a free port. */
export async function startFakePooler(databaseUrl: string): Promise<FakePooler> {
  const pooler = new FakePooler(databaseUrl);
  await pooler.listen();
  return pooler;
}

function greeting(): Buffer {
  // A key of the pooler's own, as PgBouncer gives it.
  return Buffer.concat([
    message("R", int32(AUTHENTICATION_OK)),
    message("K", int32(1), int32(1)),
    message("Z", Buffer.from("I")),
  ]);
}

function answerOf(result: pg.QueryArrayResult<(string | null)[]>): Buffer {
  const columns = result.fields.map((field) =>
    Buffer.concat([
      cstring(field.name),
      int32(0),
      int16(0),
      int32(field.dataTypeID || TEXT_OID),
      int16(-1),
      int32(-1),
      int16(0),
    ]),
  );
  const rows = result.rows.map((row) => {
    const values = row.map((value) => {
      if (value === null) return int32(-1);
      const bytes = Buffer.from(value);
      return Buffer.concat([int32(bytes.length), bytes]);
    });
    return message("D", int16(row.length), ...values);
  });
  const description = columns.length === 0 ? [] : [message("T", int16(columns.length), ...columns)];
  return Buffer.concat([...description, ...rows, message("C", cstring(result.command))]);
}

function failureOf(error: unknown): Buffer {
  const { code = "XX000", message: text } = error as { readonly code?: string; readonly message: string };
  return message("E", cstring("SERROR"), cstring(`C${code}`), cstring(`M${text}`), Buffer.alloc(1));
}

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}
