/**
 * Gives up what worker processes of this machine held, for a supervisor that knows that they are gone.
 *
 * Without it their runs wait until their silence proves their death. Promises that a mistake is harmless: a worker that
 * lives after all finds itself dead, writes nothing more under its old name and begins anew.
 */
import os from "node:os";

import type { ConnectionSource } from "../store/connection-source.ts";
import { Session } from "../store/session.ts";
import { workerQueries } from "../store/worker-queries.ts";

const RELEASE_MAX = 500;

/**
 * Declares the workers of these processes dead and makes their runs and attempts ready again.
 *
 * Nobody is told: call it before the next worker starts, which looks at everything.
 *
 * @param options - `processIds` are process ids on this host; the schema must be provisioned.
 * @returns How many workers were declared dead.
 */
export async function retireProcesses(options: {
  readonly source: ConnectionSource;
  readonly schema: string;
  readonly processIds: readonly number[];
}): Promise<number> {
  const { source, schema, processIds } = options;
  if (processIds.length === 0) return 0;
  const queries = workerQueries(schema);
  const session = new Session({ source, purpose: "retire" });
  try {
    const { rowCount } = await session.query({
      ...queries.retireProcesses,
      values: [os.hostname(), processIds],
    });
    let released = RELEASE_MAX;
    while (released >= RELEASE_MAX) {
      const { rows } = await session.query<{ released: number }>({
        ...queries.releaseDead,
        values: [RELEASE_MAX],
      });
      released = rows.reduce((sum, row) => sum + row.released, 0);
    }
    return rowCount ?? 0;
  } finally {
    await session.close();
  }
}
