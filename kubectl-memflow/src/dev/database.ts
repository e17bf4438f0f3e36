/**
 * The database of `memflow dev`: the embedded one of the data folder, or the one that DATABASE_URL names.
 *
 * Promises that of several starts on the same database one is the host, which runs the workers, and the others are
 * guests, which only connect; that an embedded server which goes away is started again; and that a password is never shown.
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import { provision, resolveConnection, retireProcesses } from "@memflow/engine";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { EmbeddedPostgresError, startEmbeddedPostgres } from "./embedded-postgres.ts";
import type { EmbeddedPostgres } from "./embedded-postgres.ts";
import { dataFolderAt, resolveCluster } from "./postgres/data-folder.ts";
import { supervise } from "./postgres/supervision.ts";

/** A database that answers. */
export interface DevDatabase {
  readonly url: string;
  /** The host runs the workers; a guest connects to what another process runs. */
  readonly role: "host" | "guest";
  /** For a person: without a password. */
  readonly description: string;
  stop(): Promise<void>;
}

/** Which database, and whom to tell about its troubles. */
export interface DatabaseWish {
  readonly dataDir: string;
  /** The user's own database in place of the embedded one. */
  readonly databaseUrl: string | undefined;
  readonly schemas: readonly string[];
  readonly onNotice: (notice: string) => void;
  /** The embedded server was started again, at this address. */
  readonly onMoved: (url: string) => void;
  /** The embedded server is gone and can't be started again. */
  readonly onLost: (error: unknown) => void;
}

/**
 * Opens the database.
 *
 * @throws {CommandError} With exit code 1, naming what is wrong and the remedy.
 */
export async function openDatabase(wish: DatabaseWish): Promise<DevDatabase> {
  return wish.databaseUrl === undefined ? openEmbedded(wish) : openGiven(wish, wish.databaseUrl);
}

/**
 * Removes the embedded database of a data folder, for a start from nothing.
 *
 * @throws {CommandError} With exit code 1 while a running process looks after it.
 */
export async function removeEmbedded(dataDir: string): Promise<void> {
  const folder = dataFolderAt(embeddedDir(dataDir));
  const cluster = await resolveCluster(folder);
  if (cluster === undefined) return;
  // A server that was left running is adopted by this start, so that it can be stopped.
  const server = await environmental(startEmbeddedPostgres({ dataDir: folder.dataDir }));
  await server.stop();
  await rm(cluster, { recursive: true, force: true });
  await rm(folder.dataDir, { recursive: true, force: true });
}

/**
 * Makes the Stores' schemas ready.
 *
 * @throws {CommandError} With exit code 1: no right, too old a Postgres, a schema of a newer MemFlow ...
 */
export async function provisionSchemas(url: string, schemas: readonly string[]): Promise<void> {
  const source = await environmental(Promise.resolve().then(() => resolveConnection(url, "DATABASE_URL")));
  for (const schema of schemas) await environmental(provision(source, schema));
}

/** Makes ready at once what workers held that are known to be gone; else it would wait until their silence proves it. */
export async function releaseRunsOf(
  gonePids: readonly number[],
  url: string,
  schemas: readonly string[],
): Promise<void> {
  const source = resolveConnection(url, "DATABASE_URL");
  for (const schema of schemas)
    await environmental(retireProcesses({ source, schema, processIds: gonePids }));
}

async function openEmbedded(wish: DatabaseWish): Promise<DevDatabase> {
  const dataDir = embeddedDir(wish.dataDir);
  try {
    return new EmbeddedDatabase(await startEmbeddedPostgres({ dataDir }), dataDir, wish);
  } catch (error) {
    if (
      error instanceof EmbeddedPostgresError &&
      error.code === "EMBEDDED_POSTGRES_IN_USE" &&
      error.url !== undefined
    ) {
      return { url: error.url, role: "guest", description: describe(error.url), stop: async () => {} };
    }
    throw asEnvironmental(error);
  }
}

async function openGiven(wish: DatabaseWish, url: string): Promise<DevDatabase> {
  if (!/^postgres(ql)?:\/\//u.test(url) || !URL.canParse(url)) {
    // The value may hold a password in any place, so nothing of it is shown.
    const form = "postgres://user:password@host:port/database";
    throw new CommandError(EXIT_CODES.failure, `DATABASE_URL is no connection string: write it as "${form}"`);
  }
  await provisionSchemas(url, wish.schemas);
  const supervision = await environmental(supervise(url, `memflow:dev:${wish.schemas.join(",")}`));
  return {
    url,
    role: supervision === undefined ? "guest" : "host",
    description: describe(url),
    stop: async () => supervision?.release(),
  };
}

/** The embedded server, started again when it goes away unasked. */
class EmbeddedDatabase implements DevDatabase {
  readonly role = "host";
  readonly #dataDir: string;
  readonly #wish: DatabaseWish;
  #server: EmbeddedPostgres;
  #stopping = false;
  #restarting: Promise<void> = Promise.resolve();

  constructor(server: EmbeddedPostgres, dataDir: string, wish: DatabaseWish) {
    this.#server = server;
    this.#dataDir = dataDir;
    this.#wish = wish;
    this.#watch();
  }

  get url(): string {
    return this.#server.url;
  }

  get description(): string {
    return `${describe(this.url)}, data in ${this.#dataDir}`;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#restarting;
    await this.#server.stop();
  }

  #watch(): void {
    void this.#restartWhenGone(this.#server.exited);
  }

  async #restartWhenGone(exited: Promise<void>): Promise<void> {
    await exited;
    if (!this.#stopping) this.#restarting = this.#restart();
  }

  async #restart(): Promise<void> {
    this.#wish.onNotice("the embedded Postgres went away; starting it again");
    try {
      this.#server = await startEmbeddedPostgres({ dataDir: this.#dataDir, port: this.#server.port });
      this.#watch();
      this.#wish.onMoved(this.url);
    } catch (error) {
      this.#wish.onLost(asEnvironmental(error));
    }
  }
}

function embeddedDir(dataDir: string): string {
  return path.join(dataDir, "postgres");
}

function describe(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port === "" ? "5432" : port}${pathname}`;
}

async function environmental<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    throw asEnvironmental(error);
  }
}

function asEnvironmental(error: unknown): CommandError {
  const message = error instanceof Error ? error.message : String(error);
  return new CommandError(EXIT_CODES.failure, message, error);
}
