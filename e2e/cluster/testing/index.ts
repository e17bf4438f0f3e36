/** The door for scenario files. */
export type { AttachedCluster } from "../clusters.ts";
export { ScenarioBench, ScenarioError } from "./scenario-bench.ts";
export { useCluster } from "./use-cluster.ts";
export type { ScenarioFile } from "./use-cluster.ts";
export type { Awaited } from "./watch-until.ts";
export { startPostgres } from "./postgres.ts";
export type { ScenarioDatabase } from "./postgres.ts";
