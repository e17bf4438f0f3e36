/**
 * A thousand TaskQueues without work ask nothing of the API server, and the operator keeps within its memory.
 *
 * What that costs in processor time is the bench's to say.
 */
import { expect } from "vitest";
import { startEmbedded, useCluster } from "../cluster/testing/index.ts";
import { startIdleOperator, writesOf } from "../idle/index.ts";

const { scenario } = useCluster({ form: "fake-nodes" });

const QUEUES = 1_000;
const LIMIT_MS = 280_000;
/** Ten seconds on a quiet machine: two looks at the Store. */
const RENEWALS = 5;
/** Each type's watch is opened anew twice at most while its Lease is renewed so often. */
const READS_MAX = 20;
const RESIDENT_MIB_MAX = 256;

scenario(
  "an operator with a thousand idle queues writes nothing but its Lease, reads nothing but what its watches bring, and has 256 MiB at most",
  async (bench) => {
    const { databaseUrl } = await startEmbedded(bench);
    const { cluster } = bench;
    const idle = await startIdleOperator({
      cluster,
      databaseUrl,
      queueCount: QUEUES,
      afterwards: (cleanup) => bench.afterwards(cleanup),
    });
    const counts = await idle.renewals(RENEWALS);
    const { nowMib, mostMib } = await idle.residentMemory();
    console.log(`figure: requests in ${RENEWALS} renewals of the Lease ${JSON.stringify(counts)}`);
    console.log(`figure: resident memory with ${QUEUES} idle queues ${Math.round(nowMib)} MiB`);
    console.log(`figure: resident memory at most ${Math.round(mostMib)} MiB`);
    expect(writesOf(counts)).toBe(0);
    expect(counts.GET).toBeLessThanOrEqual(READS_MAX);
    expect(nowMib).toBeLessThanOrEqual(RESIDENT_MIB_MAX);
  },
  LIMIT_MS,
);
