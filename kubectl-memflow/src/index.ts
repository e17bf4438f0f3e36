/** The memflow command, as a library: what its exit codes mean, and `memflow dev`. */
export { CommandError, EXIT_CODES } from "./exit-codes.ts";
export { runDev } from "./dev/run-dev.ts";
export type { DevOptions } from "./dev/run-dev.ts";
