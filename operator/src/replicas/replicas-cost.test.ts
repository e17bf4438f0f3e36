/** What a thousand queues cost that nobody uses: statements and requests, counted. */
import { expect, test } from "vitest";
import { loadOf } from "./testing/fake-store.ts";
import { startScaledCluster } from "./testing/scaled-cluster.ts";

const QUEUE_COUNT = 1_000;
const POLLS = 12;
const POLL_MS = 5_000;

test.each([1, 20])(
  "a thousand idle queues in %i Stores cost one statement a Store and poll, and no request, also when another takes over",
  { timeout: 240_000 },
  async (storeCount) => {
    const cluster = await startScaledCluster();
    for (let index = 0; index < QUEUE_COUNT; index++) {
      cluster.addQueue({ name: `queue-${index}`, store: `store-${index % storeCount}` });
    }
    cluster.lead();
    await cluster.advance(1_000);
    // Each is told once that it rests.
    expect(cluster.statusWrites).toHaveLength(QUEUE_COUNT);
    expect(cluster.scaleWrites).toEqual([]);

    const { lookCount } = cluster.store;
    const requestCount = cluster.api.requests.length;
    await cluster.advance(POLLS * POLL_MS);
    expect(cluster.store.lookCount - lookCount).toBe(POLLS * storeCount);
    expect(cluster.api.requests).toHaveLength(requestCount);

    // Who takes over finds all of it told.
    await cluster.kill();
    cluster.lead();
    await cluster.advance(1_000);
    expect(cluster.api.requests).toHaveLength(requestCount);

    cluster.store.loadOf = (name) => loadOf({ ready: name === "queue-7" ? 1 : 0 });
    cluster.store.wake("queue-7");
    await cluster.settle();
    expect(cluster.replicas("queue-7-b1")).toBe(1);
    expect(cluster.scaleWrites).toHaveLength(1);
    expect(cluster.statusWrites).toHaveLength(QUEUE_COUNT + 1);
  },
);
