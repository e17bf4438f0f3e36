/**
 * How workers and gateway get into a Store's database: the keys of the Secrets that `status.workerSecret` and
 * `status.gatewaySecret` name, and where a pod has to mount them.
 *
 * The connection strings name the authority's file by its path, so whoever runs a pod mounts `authority` at `folder`; a volume
 * of the Secret with that one item and `optional: true` fits all Stores, those without an authority of their own too.
 */
export const STORE_CREDENTIALS = {
  /** Connection string: MEMFLOW_DATABASE_URL. */
  uriKey: "uri",
  /** Connection string around a pooler in transaction mode: MEMFLOW_DIRECT_DATABASE_URL; not there without one. */
  directUriKey: "directUri",
  /** The server's authority, as PEM; not there where the system's own are taken. */
  authorityKey: "ca.crt",
  folder: "/etc/memflow/store",
} as const;
