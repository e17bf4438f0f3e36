/**
 * Connections: what clients and workers reach Postgres with.
 */

/** A `pg.Pool`: its settings are read, its connections are left to its owner. */
export interface PoolLike {
  readonly options: object;
  readonly totalCount: number;
}

/** As users write it; see docs for `direct`, `polling` and `readonly`. */
export type ConnectionConfig =
  | string
  | PoolLike
  | {
      readonly class?: unknown;
      readonly options?: object | undefined;
      readonly provider?: string | undefined;
      /** May start and read, never executes. */
      readonly readonly?: boolean | undefined;
      /** A second connection that goes around a pooler in transaction mode. */
      readonly direct?: ConnectionConfig | undefined;
      /** Wake by polling alone, without LISTEN. */
      readonly polling?: boolean | undefined;
      readonly connectionString?: string | undefined;
      readonly [option: string]: unknown;
    };

/** MemFlow's connection service: a connection is made when it is first used. */
// oxlint-disable-next-line typescript/no-extraneous-class -- users know this name as a class with static members
export class Connection {
  /** Echoes the configuration, as MemFlow does; clients and workers connect by themselves. */
  static async connect<Config extends ConnectionConfig>(config: Config): Promise<Config> {
    return await Promise.resolve(config);
  }
}
