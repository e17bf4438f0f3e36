/** MemFlow as its quickstart installs it: the chart with its own Postgres, in the namespace of a scenario. */
import { BASE_IMAGE_TAGS, baseImageArchive } from "../base-images.ts";
import { installOperator } from "./operator.ts";
import type { InstalledOperator } from "./operator.ts";
import { reachPostgres } from "./postgres.ts";
import type { ScenarioDatabase } from "./postgres.ts";
import type { ScenarioBench } from "./scenario-bench.ts";

/** Of the image that is made here; that of the public one is the chart's default. */
const POSTGRES_UID = 10_001;
const SECRET = "memflow-postgres";
const POD = "memflow-postgres-0";

/**
 * Installs both charts with `postgres.enabled`, and waits until operator and Postgres are ready.
 *
 * @param values - Of the chart besides, by path.
 */
export async function installEvaluation(
  bench: ScenarioBench,
  values: Readonly<Record<string, unknown>> = {},
): Promise<InstalledOperator> {
  await bench.cluster.loadImages([await baseImageArchive("postgres")]);
  const [repository, tag] = BASE_IMAGE_TAGS.postgres.split(":");
  return installOperator(bench, {
    namespace: bench.namespace,
    values: {
      "postgres.enabled": true,
      "postgres.uid": POSTGRES_UID,
      "postgres.image": { repository, tag, pullPolicy: "Never" },
      ...values,
    },
  });
}

/** Reaches its Postgres from the test. */
export async function reachEvaluationPostgres(bench: ScenarioBench): Promise<ScenarioDatabase> {
  const uri = await bench.kubectl(["get", "secret", SECRET, "-o", "jsonpath={.data.uri}"]);
  return reachPostgres(bench, { pod: POD, uri: Buffer.from(uri, "base64").toString() });
}
