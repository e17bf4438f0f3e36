/** The door for scenario files. */
export { BASE_IMAGE_TAGS, baseImageArchive } from "../base-images.ts";
export type { AttachedCluster } from "../clusters.ts";
export { PRODUCT_IMAGES, productImagesArchive, workerImageArchive } from "../product-images.ts";
export type { WorkerFiles } from "../product-images.ts";
export { installOperator, operatorIn } from "./operator.ts";
export type { InstalledOperator, OperatorInstallation } from "./operator.ts";
export { ScenarioBench, ScenarioError } from "./scenario-bench.ts";
export { useCluster } from "./use-cluster.ts";
export type { ScenarioFile } from "./use-cluster.ts";
export { podComes } from "./pod-comes.ts";
export type { Awaited } from "./watch-until.ts";
export { reachPostgres, startPostgres } from "./postgres.ts";
export type { ScenarioDatabase } from "./postgres.ts";
export { readBuilds, startStore, taskQueue } from "./store.ts";
export type { ScenarioStore, StoreOptions, TaskQueuePart } from "./store.ts";
export { installEvaluation, reachEvaluationPostgres } from "./evaluation.ts";
export { objectsLeft } from "./left-over.ts";
