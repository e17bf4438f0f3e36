/**
 * The environment of the Postgres programs: nothing of the caller's but what finds and times them.
 *
 * A stray PGDATA, PGPORT or LC_ALL of the caller's shell would change what the programs do; messages stay English
 * because the start reads them.
 */
export function postgresEnvironment(): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
}
