/**
 * The activity of a ledger: writes its line when it begins, then takes its time. Runs in workers alone.
 *
 * It also writes down when its process was asked to end, by the clock of the machine, which a local cluster shares with its database.
 */
import { createRequire } from "node:module";
import os from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { activityInfo } from "@memflow/sdk";
import type pg from "pg";

const QUERY_TIMEOUT_MS = 5_000;
/** Beside the Store's own. */
const SCHEMA = `${process.env["MEMFLOW_NAMESPACE"] ?? ""}_ledger`;

let pool: pg.Pool | undefined;

/** One step of a run. */
export async function writeLine(step: number, stepMs: number): Promise<number> {
  const { workflowId, attempt } = activityInfo();
  const text = `insert into ${SCHEMA}.lines (workflow_id, step, attempt, host) values ($1, $2, $3, $4)`;
  await ledger().query(text, [workflowId, step, attempt, os.hostname()]);
  await delay(stepMs);
  return step;
}

/** Opened with the first line: a test that replays histories loads this file too, and must neither connect nor hear signals. */
function ledger(): pg.Pool {
  pool ??= open();
  return pool;
}

function open(): pg.Pool {
  // The worker image has the package for itself.
  const { Pool } = createRequire("/opt/memflow/")("pg") as typeof pg;
  const opened = new Pool({
    connectionString: process.env["MEMFLOW_DATABASE_URL"],
    application_name: "ledger",
    max: 2,
    connectionTimeoutMillis: QUERY_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
  });
  // An idle connection that breaks is made anew by the next line.
  opened.on("error", () => undefined);
  process.once("SIGTERM", () => {
    const text = `insert into ${SCHEMA}.ends (host, asked_at) values ($1, $2)`;
    opened.query(text, [os.hostname(), new Date()]).catch((error: unknown) => {
      process.stderr.write(`the ledger did not take the end of this worker: ${String(error)}\n`);
    });
  });
  return opened;
}
