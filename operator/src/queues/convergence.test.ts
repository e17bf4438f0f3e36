/** A process that dies at any write leaves nothing that the next one does not bring to the same end. */
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import type { ScratchStore } from "@memflow/engine/testing/scratch-store";
import { expect, test } from "vitest";
import { CONFIG_MAPS } from "../kube/index.ts";
import { startQueueCluster } from "./testing/queue-cluster.ts";
import type { QueueCluster } from "./testing/queue-cluster.ts";
import type { Manifest } from "./testing/task-queues.ts";

class DiedError extends Error {}

/** Where a process dies: at the n-th write to the API server, before or after it, or at a named place. */
type Death =
  | { readonly kind: "never" }
  | { readonly kind: "before" | "after"; readonly write: number }
  | { readonly kind: "at"; readonly place: string };

interface Outcome {
  readonly picture: unknown;
  readonly routes: readonly string[];
  readonly runCount: number;
  readonly writeCount: number;
  readonly places: readonly string[];
  readonly isDead: boolean;
}

const CODE = { workers: { source: { code: { configMapRef: { name: "code" } } } } };
const VERSIONING = {
  rollout: { strategy: "Progressive", steps: [{ percent: 50, pause: "30s" }], gate: { workflow: "smoke" } },
  draining: { scaledownDelay: "1m", deleteDelay: "1m" },
};

function spec(buildId: string): Manifest {
  return { ...CODE, versioning: { ...VERSIONING, buildId } };
}

/** Arms a death; it happens once. */
function arm(cluster: QueueCluster, death: Death): () => boolean {
  let isDead = false;
  let writeCount = 0;
  cluster.onWrite = () => {
    if (isDead || !("write" in death) || ++writeCount !== death.write) return;
    isDead = true;
    if (death.kind === "before") throw new DiedError();
    cluster.api.faults.inject({ kind: "lose-answer" }, { verbs: ["create", "patch", "update", "delete"] });
  };
  cluster.onCrashPoint = (name) => {
    if (isDead || death.kind !== "at" || name !== death.place) return;
    isDead = true;
    throw new DiedError();
  };
  return () => isDead;
}

/** A queue is made, gets another build through gate and steps, and loses the old one. */
async function live(
  shared: { readonly database: ScratchStore; readonly fencingToken: number },
  death: Death,
): Promise<Outcome> {
  const { database } = shared;
  for (const table of ["queue_builds", "workflow_ids", "runs"]) {
    await database.sql(`delete from :schema.${table}`);
  }
  const cluster = await startQueueCluster({ shared });
  const isDead = arm(cluster, death);
  const settle = (): Promise<void> => cluster.settleInSpiteOf(DiedError);
  cluster.api.cluster.create(CONFIG_MAPS, {
    metadata: { name: "code", namespace: "shop" },
    data: { "index.mjs": "1" },
  });
  cluster.apply(spec("b1"));
  await settle();
  cluster.run("b1", 1);
  await settle();
  cluster.apply(spec("b2"));
  await settle();
  cluster.run("b2", 1);
  await settle();
  await database.sql("update :schema.runs set status = 'completed', closed_at = now(), ready_at = null");
  await settle();
  cluster.clock.advance(30_000);
  await settle();
  cluster.run("b1", 0);
  cluster.clock.advance(120_000);
  await settle();
  const runs = await database.sql("select from :schema.runs");
  return {
    picture: cluster.picture(),
    routes: await cluster.routes(),
    runCount: runs.length,
    writeCount: cluster.writes.length,
    places: [...new Set(cluster.crashPoints)],
    isDead: isDead(),
  };
}

test("the end is the same wherever the process died", { timeout: 240_000 }, async () => {
  const database = await makeScratchStore();
  const whole = await live({ database, fencingToken: 1 }, { kind: "never" });
  expect(whole).toMatchObject({ routes: ["b2 Current 100"], runCount: 1 });
  expect(whole.places).toEqual(["queues.routed", "queues.gate-started"]);
  const deaths: readonly Death[] = [
    ...whole.places.map((place) => ({ kind: "at", place }) as const),
    // Before one is after the one before.
    { kind: "before", write: 1 },
    ...Array.from({ length: whole.writeCount }, (_, index) => ({ kind: "after", write: index + 1 }) as const),
  ];
  for (const [index, death] of deaths.entries()) {
    // Each story has two leaders at most.
    const shared = { database, fencingToken: 2 * (index + 1) };
    const { picture, routes, runCount, isDead } = await live(shared, death);
    const ended = { death, isDead, routes, runCount, picture };
    const expected = { death, isDead: true, routes: whole.routes, runCount: 1, picture: whole.picture };
    expect(ended).toEqual(expected);
  }
});
