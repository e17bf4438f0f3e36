/**
 * How another thread reaches the same database: as plain values, read off a client that is never connected.
 */
import type pg from 'pg';

import type { ConnectionSource } from '../store/connection-source.ts';

interface WithParameters {
  readonly connectionParameters: {
    readonly host?: string;
    readonly port?: number;
    readonly user?: string;
    readonly database?: string;
    readonly ssl?: unknown;
    readonly options?: string;
  };
  readonly password?: unknown;
}

/** The options of a `pg.Client` for the heartbeat's thread. */
export function threadConnection(source: ConnectionSource): pg.ClientConfig {
  const client = source.createClient({ applicationName: 'memflow:heartbeat', connectTimeoutMs: 5_000 });
  const { connectionParameters: parameters, password } = client as unknown as WithParameters;
  return {
    host: parameters.host,
    port: parameters.port,
    user: parameters.user,
    database: parameters.database,
    ...(password === undefined || password === null ? {} : { password: password as string }),
    ...(parameters.ssl === undefined ? {} : { ssl: parameters.ssl as boolean }),
    ...(parameters.options === undefined ? {} : { options: parameters.options }),
  };
}
