/** A Postgres beside the cluster, for scenarios whose operator is a process of this machine. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "@memflow/cli/embedded-postgres";
import pg from "pg";
import type { ScenarioBench } from "./scenario-bench.ts";

/** Many Stores in one server. */
const CONNECTIONS_MAX = 500;
const POOL_MAX = 8;

/** Starts it; it ends with the scenario. */
export async function startEmbedded(
  bench: ScenarioBench,
): Promise<{ readonly databaseUrl: string; readonly pool: pg.Pool }> {
  const dataDir = await mkdtemp(join(tmpdir(), "memflow-e2e-postgres-"));
  bench.afterwards(() => rm(dataDir, { recursive: true, force: true }));
  const server = await startEmbeddedPostgres({ dataDir, settings: { max_connections: CONNECTIONS_MAX } });
  bench.afterwards(() => server.stop());
  const pool = new pg.Pool({ connectionString: server.url, max: POOL_MAX });
  bench.afterwards(() => pool.end());
  return { databaseUrl: server.url, pool };
}
