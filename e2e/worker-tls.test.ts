/**
 * A worker enters its database as the Secret of a Store says: how the server is verified, against which authority, and where
 * LISTEN goes. The server is real; connection strings are as the operator writes them (`operator/src/stores/core/credentials.ts`).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startEmbeddedPostgres } from "@memflow/cli/embedded-postgres";
import type { EmbeddedPostgres } from "@memflow/cli/embedded-postgres";
import { migrate, resolveConnection } from "@memflow/engine/provision";
import pg from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";

const CERTIFICATES = fileURLToPath(new URL("tls/", import.meta.url));
const AUTHORITY = join(CERTIFICATES, "authority.pem");
const OTHER_AUTHORITY = join(CERTIFICATES, "other-authority.pem");
const WORKER = fileURLToPath(import.meta.resolve("@memflow/worker-runtime/main"));
/** Enters around the pooler, so that its sessions can be told apart. */
const DIRECT_LOGIN = "around_the_pooler";

let folder = "";
let server: EmbeddedPostgres;
let database: pg.Pool;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "memflow-tls-"));
  server = await startEmbeddedPostgres({
    dataDir: join(folder, "postgres"),
    settings: { max_connections: 40 },
  });
  database = new pg.Pool({ connectionString: server.url, max: 1 });
  await writeServerFile("server.crt", "server.pem");
  await writeServerFile("server.key", "server-key.pem");
  await database.query("alter system set ssl = on");
  await database.query("select pg_reload_conf()");
  await database.query(`create role ${DIRECT_LOGIN} login superuser password 'secret'`);
  await migrate({ source: resolveConnection(server.url), schema: "memflow" });
  await writeFile(join(folder, "workflows.mjs"), "export async function hello() {}\n");
});

afterAll(async () => {
  await database.end();
  await server.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 20 });
});

/** Into the server's own folder, as its own user, readable by nobody else. */
async function writeServerFile(name: string, certificate: string): Promise<void> {
  const text = await readFile(join(CERTIFICATES, certificate), "utf8");
  await database.query(
    `copy (select * from unnest(string_to_array('${text.trim()}', e'\\n'))) to program 'umask 077; cat > ${name}'`,
  );
}

interface Entrance {
  readonly host: string;
  readonly parameters: Readonly<Record<string, string>>;
}

function urlOf({ host, parameters }: Entrance, login?: { user: string; password: string }): string {
  const url = new URL(server.url);
  url.hostname = host;
  if (login !== undefined) Object.assign(url, { username: login.user, password: login.password });
  url.search = new URLSearchParams(parameters).toString();
  return url.href;
}

/** Starts a worker; gives the line that says it is ready, or its last words. */
async function startWorker(environment: Readonly<Record<string, string>>): Promise<string> {
  const { MEMFLOW_DATABASE_URL: _, ...inherited } = process.env;
  const child = spawn(process.execPath, ["-C", "source", WORKER], {
    env: {
      ...inherited,
      MEMFLOW_TASK_QUEUE: "orders",
      MEMFLOW_MODULE: folder,
      MEMFLOW_HOST: "127.0.0.1",
      MEMFLOW_PORT: "0",
      ...environment,
    },
  });
  const closed = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await closed;
  });
  const said: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => said.push(line));
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('"event":"ready"')) return line;
  }
  await closed;
  return said.join("\n");
}

/** Logins of all sessions that workers have, each with whether it is encrypted. */
async function sessionsOfWorkers(): Promise<readonly { login: string; ssl: boolean }[]> {
  const { rows } = await database.query<{ login: string; ssl: boolean }>(`
    select distinct a.usename as login, s.ssl
    from pg_stat_activity a join pg_stat_ssl s using (pid)
    where a.pid <> pg_backend_pid() and a.application_name like 'memflow:%' and a.application_name <> 'memflow:supervisor'
    order by 1, 2`);
  return rows;
}

test.each<[string, Entrance]>([
  [
    "verify-full against its authority",
    { host: "localhost", parameters: { sslmode: "verify-full", sslrootcert: AUTHORITY } },
  ],
  [
    "verify-ca, under a name that its certificate has not",
    {
      host: "127.0.0.1",
      parameters: { sslmode: "verify-ca", sslrootcert: AUTHORITY, uselibpqcompat: "true" },
    },
  ],
  [
    "require, whoever signed it",
    { host: "127.0.0.1", parameters: { sslmode: "require", uselibpqcompat: "true" } },
  ],
])("a worker enters a server by %s, and every session of it is encrypted", async (_mode, entrance) => {
  expect(await startWorker({ MEMFLOW_DATABASE_URL: urlOf(entrance) })).toContain("ready");
  expect(await sessionsOfWorkers()).toEqual([{ login: "memflow", ssl: true }]);
});

test.each<[string, Entrance]>([
  [
    "verify-full, signed by another authority",
    { host: "localhost", parameters: { sslmode: "verify-full", sslrootcert: OTHER_AUTHORITY } },
  ],
  [
    "verify-full, under a name that its certificate has not",
    { host: "127.0.0.1", parameters: { sslmode: "verify-full", sslrootcert: AUTHORITY } },
  ],
  [
    "verify-ca, signed by another authority",
    {
      host: "localhost",
      parameters: { sslmode: "verify-ca", sslrootcert: OTHER_AUTHORITY, uselibpqcompat: "true" },
    },
  ],
  ["the system's authorities", { host: "localhost", parameters: { sslmode: "verify-full" } }],
])("a worker turns away from a server that fails %s", async (_mode, entrance) => {
  const said = await startWorker({ MEMFLOW_DATABASE_URL: urlOf(entrance) });
  expect(said).toMatch(/certificate/u);
  expect(said).not.toContain(new URL(server.url).password);
});

test("a worker takes its connection strings from files, and goes around a pooler by the direct one", async () => {
  const parameters = { sslmode: "verify-full", sslrootcert: AUTHORITY };
  const direct = urlOf({ host: "localhost", parameters }, { user: DIRECT_LOGIN, password: "secret" });
  await writeFile(join(folder, "uri"), `${urlOf({ host: "localhost", parameters })}\n`);
  await writeFile(join(folder, "directUri"), direct);
  const ready = await startWorker({
    MEMFLOW_DATABASE_URL_FILE: join(folder, "uri"),
    MEMFLOW_DIRECT_DATABASE_URL_FILE: join(folder, "directUri"),
  });
  expect(ready).toContain("ready");
  expect(await sessionsOfWorkers()).toEqual([
    { login: DIRECT_LOGIN, ssl: true },
    { login: "memflow", ssl: true },
  ]);
});
