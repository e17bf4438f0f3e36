/** The operator as its chart installs it. */
import { expect } from "vitest";
import { installOperator, useCluster } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

scenario("one of the operator's processes leads, all are ready, none has restarted", async (bench) => {
  const operator = await installOperator(bench);
  const pods = await operator.pods();
  expect(pods.length).toBe(2);
  for (const { status } of pods)
    expect(status?.containerStatuses?.[0]).toMatchObject({ ready: true, restartCount: 0 });
  const leases = await bench.kubectl([
    "-n",
    operator.namespace,
    "get",
    "leases",
    "-o",
    "jsonpath={.items[*].spec.holderIdentity}",
  ]);
  expect(pods.some(({ metadata }) => leases.includes(metadata?.name ?? "-"))).toBe(true);
});
