/** The worker process of one task queue, as a library. */
export { WORKER_EXIT_CODES } from "./exit-codes.ts";
export { HealthPortError } from "./health-server.ts";
export { ModuleError, loadUserCode } from "./load-module.ts";
export type { UserCode } from "./load-module.ts";
export { runWorker } from "./run-worker.ts";
export type { RunningWorker, WorkerObserver } from "./run-worker.ts";
export { SettingsError, readSettings } from "./settings.ts";
export type { WorkerSettings } from "./settings.ts";
