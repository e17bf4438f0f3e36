/** Builds side by side, on rows made by hand: who claims what, what moves it, and who may say so. */
import fc from "fast-check";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import { uuidArray } from "./binary-arrays.ts";
import { moveRuns, readBuildRuns, setQueueBuilds } from "./builds.ts";
import type { QueueBuild, QueueBuilds } from "./builds.ts";
import { newId } from "./new-id.ts";
import { Session } from "./session.ts";

const QUEUE = "queue";
const CURRENT_NEW: readonly QueueBuild[] = [
  { buildId: "new", role: "Current", sharePercent: 100 },
  { buildId: "old", role: "Draining", sharePercent: 0 },
];

let store: ScratchStore;
let session: Session;

beforeEach(async () => {
  store = await makeScratchStore();
  session = new Session({ source: store.place.source, purpose: "test" });
  onTestFinished(() => session.close());
});

async function declare(
  builds: readonly QueueBuild[],
  options: Partial<Omit<QueueBuilds, "builds">> = {},
): Promise<boolean> {
  const set: QueueBuilds = { taskQueue: QUEUE, pinning: "Pinned", fence: 1, ...options, builds };
  return await setQueueBuilds(session, store.place.schema, set);
}

async function register(build: string | null): Promise<string> {
  const workerId = newId();
  const serves = { queues: [{ taskQueue: QUEUE, workflows: ["work"], activities: ["fetch"] }] };
  await store.sql("select :schema.register_worker($1, $2, $3, 'host', 60000)", [
    workerId,
    JSON.stringify(serves),
    build,
  ]);
  return workerId;
}

/** The runs that a new worker of a build claims. */
async function claim(build: string | null, limit = 1_000): Promise<string[]> {
  return await claimBy(await register(build), build, limit);
}

async function claimBy(worker: string, build: string | null, limit: number): Promise<string[]> {
  const rows = await store.sql<{ run_id: string }>(
    `select run_id from :schema.claim_runs($1, $2, '${QUEUE}', '{work}', $3, false, 2)`,
    [worker, build, limit],
  );
  return rows.map(({ run_id: id }) => id);
}

/** The attempts, as run and position, that a new worker of a build leases. */
async function lease(build: string | null): Promise<string[]> {
  const rows = await store.sql<{ key: string }>(
    `select run_id || ' ' || position as key from :schema.claim_activities($1, $2, '${QUEUE}', '{fetch}', 100)`,
    [await register(build), build],
  );
  return rows.map(({ key }) => key);
}

/** What a new worker of a build is told is there. */
async function readyWork(build: string | null): Promise<readonly unknown[]> {
  return await store.sql(
    `select kind, ready, due_in_ms > 0 as more
     from :schema.ready_work($1, '{${QUEUE}}', '{work}', '{${QUEUE}}', '{fetch}', 2)`,
    [build],
  );
}

async function insertReady(row: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return await store.insertRun({ ready_at: new Date(), ...row });
}

async function insertAttempt(row: Readonly<Record<string, unknown>>): Promise<void> {
  const attempt = { position: 0, attempt: 1, state: "queued", due_at: new Date(), task_queue: QUEUE };
  await store.insert("activities", { ...attempt, name: "fetch", ...row });
}

async function releaseAll(): Promise<void> {
  await store.sql("update :schema.runs set owner = null, busy = false, ready_at = clock_timestamp()");
}

async function buildOf(runId: string): Promise<string | null> {
  const [row] = await store.sql<{ build_id: string | null }>(
    "select build_id from :schema.runs where run_id = $1",
    [runId],
  );
  return row?.build_id ?? null;
}

describe("a queue without builds", () => {
  test.each([{ build: null }, { build: "any" }])(
    "is served by a worker of build $build, and nothing is pinned",
    async ({ build }) => {
      const run = await insertReady();
      await insertAttempt({ run_id: await store.insertRun() });
      expect(await readyWork(build)).toHaveLength(2);
      expect(await claim(build)).toEqual([run]);
      expect(await buildOf(run)).toBeNull();
      expect(await lease(build)).toHaveLength(1);
    },
  );

  test("keeps a run that was started for a build for that build", async () => {
    const run = await insertReady({ build_id: "gate" });
    expect(await readyWork("other")).toEqual([]);
    expect(await claim("other")).toEqual([]);
    expect(await claim(null)).toEqual([]);
    expect(await claim("gate")).toEqual([run]);
  });
});

describe("a queue with builds", () => {
  test("gives new runs to the current build, which has them from then on", async () => {
    await declare(CURRENT_NEW);
    const run = await insertReady();
    for (const build of ["old", "unknown"]) {
      expect(await readyWork(build)).toEqual([]);
      expect(await claim(build)).toEqual([]);
    }
    expect(await readyWork("new")).toEqual([{ kind: "runs", ready: true, more: null }]);
    expect(await claim("new")).toEqual([run]);
    expect(await buildOf(run)).toBe("new");

    // A rollback: the run ends on the build that it began on.
    await declare([
      { buildId: "old", role: "Current", sharePercent: 100 },
      { buildId: "new", role: "Draining", sharePercent: 0 },
    ]);
    await releaseAll();
    const later = await insertReady();
    expect(await claim("old")).toEqual([later]);
    expect(await claim(null)).toEqual([]);
    expect(await claim("new")).toEqual([run]);
  });

  test("wakes workers for the timers of their own runs alone", async () => {
    await declare(CURRENT_NEW);
    const ready_at = new Date(Date.now() + 60_000);
    await store.insertRun({ ready_at, build_id: "old" });
    expect(await readyWork("new")).toEqual([]);
    expect(await readyWork("old")).toEqual([{ kind: "runs", ready: false, more: true }]);
  });

  test("is served by a worker without a build in what no build has, which stays so", async () => {
    await declare(CURRENT_NEW);
    const run = await insertReady();
    await insertReady({ build_id: "new" });
    expect(await claim(null)).toEqual([run]);
    expect(await buildOf(run)).toBeNull();
  });

  test("leaves the attempts of a build's runs to its workers, and the others to those that get new runs", async () => {
    await declare(CURRENT_NEW);
    const [old, unpinned] = [await store.insertRun({ build_id: "old" }), await store.insertRun()];
    await insertAttempt({ run_id: old, build_id: "old" });
    await insertAttempt({ run_id: unpinned });
    await insertAttempt({ run_id: unpinned, position: 1, due_at: new Date(Date.now() + 60_000) });
    expect(await readyWork("old")).toEqual([{ kind: "activities", ready: true, more: null }]);
    expect(await readyWork("new")).toEqual([{ kind: "activities", ready: true, more: true }]);
    expect(await lease("new")).toEqual([`${unpinned} 0`]);
    expect(await lease(null)).toEqual([]);
    expect(await lease("old")).toEqual([`${old} 0`]);
  });

  test("pins with a run the attempts that it queued before", async () => {
    const run = await insertReady({ event_count: 1 });
    await insertAttempt({ run_id: run });
    await declare(CURRENT_NEW);
    await claim("new");
    expect(await lease(null)).toEqual([]);
    expect(await lease("new")).toEqual([`${run} 0`]);
  });

  test("follows upgrades where it says so: what an older build let go of is the current one's", async () => {
    await declare([{ buildId: "old", role: "Current", sharePercent: 100 }], { pinning: "AutoUpgrade" });
    const run = await insertReady();
    expect(await claim("old")).toEqual([run]);
    await declare(CURRENT_NEW, { pinning: "AutoUpgrade" });
    await releaseAll();
    expect(await claim("old")).toEqual([]);
    expect(await claim("new")).toEqual([run]);
  });

  test("lets go of what it pinned to draining builds once it follows upgrades, but for a run that a gate waits for", async () => {
    await declare([{ buildId: "old", role: "Current", sharePercent: 100 }]);
    const run = await insertReady();
    await claim("old");
    const gate = await insertReady({ build_id: "gate" });
    await declare(CURRENT_NEW, { pinning: "AutoUpgrade" });
    await releaseAll();
    expect(await claim("new")).toEqual([run]);
    expect(await claim("gate")).toEqual([gate]);
  });

  test("has no suspects for a worker of another build, which would wait for them alone", async () => {
    await declare(CURRENT_NEW);
    await insertReady({ build_id: "old", busy: true, busy_takeovers: 3 });
    const suspects = async (build: string): Promise<unknown> =>
      (await store.sql("select suspects from :schema.bury_workers($1, 2)", [await register(build)]))[0];
    expect(await suspects("new")).toEqual({ suspects: false });
    expect(await suspects("old")).toEqual({ suspects: true });
  });

  test("has a parked run tried again by the builds that may take it when they register, and by no other", async () => {
    const problem = { code: "HISTORY_MISMATCH", build: "old", worker: newId() };
    const park = async (build_id: string | null): Promise<string> =>
      await store.insertRun({ ready_at: "infinity", problem, build_id });
    await declare(CURRENT_NEW);
    const [pinned, unpinned] = [await park("old"), await park(null)];
    const resume = async (build: string): Promise<void> => {
      const values = [await register(build), build, QUEUE, ["work"]];
      await store.sql("select :schema.resume_runs($1, $2, $3, $4, '{}')", values);
    };
    await resume("unknown");
    await resume("new");
    expect(await claim("new")).toEqual([unpinned]);
    expect(await buildOf(unpinned)).toBe("new");
    expect(await claim("old")).toEqual([]);

    // Moved away from the code that does not match, it is tried again.
    expect(
      await moveRuns(session, store.place.schema, {
        taskQueue: QUEUE,
        fromBuildId: "old",
        toBuildId: "new",
      }),
    ).toBe(1);
    expect(await claim("new")).toEqual([pinned]);
  });

  test("gives children and hooks on the parent's queue the parent's build, and none elsewhere", async () => {
    const parent = await store.insertRun({ build_id: "old", owner: newId() });
    const child = (task_queue: string, hook: boolean) => {
      const run = newId();
      return { run, parent, workflow_id: run, workflow_name: "work", task_queue, hook };
    };
    const children = [child(QUEUE, false), child(QUEUE, true), child("elsewhere", false)];
    await store.sql("select :schema.insert_runs($1)", [JSON.stringify(children)]);
    expect(await Promise.all(children.map(({ run }) => buildOf(run)))).toEqual(["old", "old", null]);
  });
});

describe("shares of new runs", () => {
  const RUNS = 10_000;
  const workerTurn = fc.record({
    build: fc.constantFrom("current", "ramping"),
    limit: fc.integer({ min: 1, max: 3_000 }),
  });

  test("hold within two percent of 10,000 starts, whoever polls faster, and stay as they were when they grow", async () => {
    const ids = Array.from({ length: RUNS }, () => newId());
    await store.sql(
      `insert into :schema.runs (run_id, entity_id, task_queue, workflow_name, workflow_id, ready_at)
       select id, id, '${QUEUE}', 'work', id, now() from unnest($1::uuid[]) as made (id)`,
      [uuidArray(ids)],
    );
    const before = new Map<number, ReadonlySet<string>>();
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 99 }),
        fc.array(workerTurn, { maxLength: 12 }),
        async (percent, turns) => {
          await declare([
            { buildId: "current", role: "Current", sharePercent: 100 - percent },
            { buildId: "ramping", role: "Ramping", sharePercent: percent },
          ]);
          await store.sql(
            "update :schema.runs set owner = null, busy = false, busy_takeovers = 0, build_id = null, ready_at = now()",
          );
          const taken = { current: new Set<string>(), ramping: new Set<string>() };
          const all = [
            ...turns,
            { build: "ramping", limit: RUNS } as const,
            { build: "current", limit: RUNS } as const,
          ];
          for (const { build, limit } of all)
            for (const id of await claim(build, limit)) taken[build].add(id);
          expect(taken.current.size + taken.ramping.size).toBe(RUNS);
          expect(Math.abs(taken.ramping.size / RUNS - percent / 100)).toBeLessThanOrEqual(0.02);
          for (const [lower, set] of before)
            if (lower <= percent) expect([...set].every((id) => taken.ramping.has(id))).toBe(true);
          before.set(percent, taken.ramping);
        },
      ),
      { numRuns: 5 },
    );
  }, 120_000);

  test.each([
    { shares: "below a hundred", builds: [{ buildId: "a", role: "Current", sharePercent: 60 }] },
    {
      shares: "of two current builds",
      builds: [
        { buildId: "a", role: "Current", sharePercent: 50 },
        { buildId: "b", role: "Current", sharePercent: 50 },
      ],
    },
    {
      shares: "of a draining build",
      builds: [
        { buildId: "a", role: "Current", sharePercent: 100 },
        { buildId: "b", role: "Draining", sharePercent: 10 },
      ],
    },
  ] as const)("$shares are refused, and nothing of them stands", async ({ builds }) => {
    await declare(CURRENT_NEW);
    await expect(declare(builds)).rejects.toThrow();
    expect(await store.sql("select build_id from :schema.queue_builds order by build_id")).toEqual([
      { build_id: "new" },
      { build_id: "old" },
    ]);
  });
});

describe("who says which builds a queue has", () => {
  test("is refused after somebody with a newer token, on any queue, whatever the order of tokens", async () => {
    let newest = 1;
    await declare([], { fence: newest });
    const standing = new Map<string, string>();
    let count = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ taskQueue: fc.constantFrom("a", "b"), step: fc.integer({ min: -2, max: 2 }) }), {
          minLength: 1,
          maxLength: 10,
        }),
        async (writes) => {
          for (const { taskQueue, step } of writes) {
            const buildId = `b${(count += 1)}`;
            const fence = newest + step;
            const written = declare([{ buildId, role: "Current", sharePercent: 100 }], { taskQueue, fence });
            if (step < 0) {
              await expect(written).rejects.toMatchObject({ code: "LEADER_FOLLOWED", token: fence });
            } else {
              expect(await written).toBe(true);
              newest = fence;
              standing.set(taskQueue, buildId);
            }
            const rows = await store.sql<{ task_queue: string; build_id: string }>(
              "select task_queue, build_id from :schema.queue_builds",
            );
            expect(new Map(rows.map((row) => [row.task_queue, row.build_id]))).toEqual(standing);
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  test("and two at once: the newer stands", async () => {
    const other = new Session({ source: store.place.source, purpose: "test" });
    onTestFinished(() => other.close());
    const set = (buildId: string, fence: number): QueueBuilds => ({
      taskQueue: QUEUE,
      pinning: "Pinned",
      builds: [{ buildId, role: "Current", sharePercent: 100 }],
      fence,
    });
    for (let round = 0; round < 10; round += 1) {
      const [older] = await Promise.allSettled([
        setQueueBuilds(session, store.place.schema, set("older", 2 * round)),
        setQueueBuilds(other, store.place.schema, set("newer", 2 * round + 1)),
      ]);
      if (older.status === "rejected") expect(older.reason).toMatchObject({ code: "LEADER_FOLLOWED" });
      expect(await store.sql("select build_id from :schema.queue_builds")).toEqual([{ build_id: "newer" }]);
    }
  });

  test("may say it again, and take all builds away", async () => {
    expect(await declare(CURRENT_NEW)).toBe(true);
    expect(await declare(CURRENT_NEW)).toBe(false);
    expect(await declare([])).toBe(true);
    expect(await declare([])).toBe(false);
    const run = await insertReady();
    expect(await claim("whoever")).toEqual([run]);
  });
});

describe("the open runs of builds", () => {
  test("are counted by queue and build, with those that nobody has and the workers there are", async () => {
    await declare(CURRENT_NEW);
    const worker = await register("new");
    await store.insertRun({ build_id: "new", owner: worker });
    await store.insertRun({ build_id: "new", ready_at: "infinity" });
    await store.insertRun({ build_id: "gone", ready_at: new Date() });
    await store.insertRun({ build_id: "gone", status: "completed" });
    await store.insertRun({ build_id: "gone", ready_at: "infinity", task_queue: "other" });
    await store.insertRun({ ready_at: new Date() });
    expect(await readBuildRuns(session, store.place.schema)).toEqual([
      { taskQueue: "other", buildId: "gone", openRuns: 1, unownedRuns: 1, workers: 0 },
      { taskQueue: QUEUE, buildId: "gone", openRuns: 1, unownedRuns: 1, workers: 0 },
      { taskQueue: QUEUE, buildId: "new", openRuns: 2, unownedRuns: 1, workers: 1 },
    ]);
  });

  test("are counted up to a bound", async () => {
    for (let count = 0; count < 5; count += 1) await store.insertRun({ build_id: "new" });
    expect(await store.sql("select open_runs from :schema.observe_builds(3)")).toEqual([{ open_runs: "3" }]);
  });
});

describe("a move of runs", () => {
  const move = async (toBuildId: string | null): Promise<number> =>
    await moveRuns(session, store.place.schema, { taskQueue: QUEUE, fromBuildId: "gone", toBuildId });

  test("takes the open runs of a build and their attempts to another, more than fit one step of it", async () => {
    await store.sql(
      `insert into :schema.runs (run_id, entity_id, task_queue, workflow_name, workflow_id, ready_at, build_id)
       select id, id, '${QUEUE}', 'work', id, now(), 'gone' from (
         select gen_random_uuid() as id from generate_series(1, 2500)
       ) made`,
    );
    const waiting = await store.insertRun({ build_id: "gone", ready_at: "infinity" });
    await insertAttempt({ run_id: waiting, build_id: "gone" });
    await insertAttempt({ run_id: waiting, position: 1, task_queue: "elsewhere" });
    const closed = await store.insertRun({ build_id: "gone", status: "completed" });
    expect(await move("new")).toBe(2_501);
    expect(await readBuildRuns(session, store.place.schema)).toMatchObject([
      { buildId: "new", openRuns: 2_501 },
    ]);
    expect(await buildOf(closed)).toBe("gone");
    expect(await lease("new")).toEqual([`${waiting} 0`]);
    expect(await store.sql("select build_id from :schema.activities where position = 1")).toEqual([
      { build_id: null },
    ]);
    expect(await move("new")).toBe(0);
  });

  test("to no build makes them anybody's who gets new runs", async () => {
    await declare(CURRENT_NEW);
    const run = await insertReady({ build_id: "gone" });
    expect(await move(null)).toBe(1);
    expect(await claim("old")).toEqual([]);
    expect(await claim("new")).toEqual([run]);
  });

  test("leaves a run that kills its workers parked, and a reserved one reserved", async () => {
    for (const code of ["RUN_STUCK", "PENDING"])
      await store.insertRun({ ready_at: "infinity", build_id: "gone", problem: { code } });
    expect(await move("new")).toBe(2);
    expect(await claim("new")).toEqual([]);
  });
});
