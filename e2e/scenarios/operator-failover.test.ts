/** Two processes of the operator: one works, the other takes over when it dies or freezes, and never do both write. */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { TASK_QUEUES } from "@memflow/operator/api";
import { LEASES, Reflector } from "@memflow/operator/kube";
import pg from "pg";
import { expect } from "vitest";
import { OperatedWorld, OperatorProcess, startEmbedded, useCluster } from "../cluster/testing/index.ts";
import type { ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "control-plane" });

const MANIFESTS = fileURLToPath(new URL("../../crds/manifests", import.meta.url));
const LEASE_MS = 6_000;
/** What is promised; a machine that has more to do may take some times as long. */
const TAKEOVER_MS = LEASE_MS + 2_000;
const BUSY_FACTOR = 5;
/** All controllers have looked by then, also on a busy machine. */
const FENCES_MS = 30_000;
/** Without a write for so long, a leader has done what there was. */
const REST_MS = 2_000;
const ENVIRONMENT = {
  MEMFLOW_OPERATOR_LEASE_DURATION: `${LEASE_MS}ms`,
  MEMFLOW_OPERATOR_RENEW_DEADLINE: "5s",
  MEMFLOW_OPERATOR_RENEW_PERIOD: "500ms",
  MEMFLOW_OPERATOR_RETRY_PERIOD: "300ms",
};

interface Pair {
  readonly leader: OperatorProcess;
  readonly standby: OperatorProcess;
  readonly world: OperatedWorld;
  readonly pool: pg.Pool;
  /** Each holder of the lease, as the server had them, with its token. */
  readonly terms: readonly Term[];
}

interface Term {
  readonly holder: string;
  readonly token: number;
}

/** What was when a leader came to its end. */
interface Since {
  readonly ms: number;
  readonly term: Term;
  /** How many terms had begun, and how many lines the other one had written. */
  readonly terms: number;
  readonly lines: number;
}

function now({ terms, standby }: Pair): Since {
  const term = terms.at(-1) ?? { holder: "", token: 0 };
  return { ms: performance.now(), term, terms: terms.length, lines: standby.lines.length };
}

async function isLeading(operator: OperatorProcess): Promise<boolean> {
  return (await operator.metrics()).get("memflow_operator_leader") === 1;
}

/** A leader with a world that it has brought up, and one that stands by. */
async function setup(bench: ScenarioBench): Promise<Pair> {
  await bench.kubectl(["apply", "-f", MANIFESTS]);
  const { databaseUrl, pool } = await startEmbedded(bench);
  const leader = start(bench, "first");
  await leader.line("leading");
  const terms = await followLease(bench);
  const standby = start(bench, "second");
  const world = new OperatedWorld(`${bench.namespace}-w`, { client: bench.client, databaseUrl, pool });
  await world.create();
  await target(bench, world);
  await standby.line("listening");
  // On a machine that has too much to do, the lease may have been lost meanwhile.
  const pair = (await isLeading(leader)) ? { leader, standby } : { leader: standby, standby: leader };
  return { ...pair, world, pool, terms };
}

function start(bench: ScenarioBench, name: string): OperatorProcess {
  return new OperatorProcess(bench, { ...ENVIRONMENT, MEMFLOW_OPERATOR_POD_NAME: name });
}

async function followLease(bench: ScenarioBench): Promise<readonly Term[]> {
  const terms: Term[] = [];
  const { client, namespace } = bench;
  const leases = new Reflector({ client, type: LEASES, selection: { namespace }, log: () => {} });
  leases.onChange((change) => {
    const { holderIdentity, leaseTransitions = 0 } = change.object.spec ?? {};
    const holder = (holderIdentity ?? "").replace(/_.*/u, "");
    if (terms.at(-1)?.holder !== holder) terms.push({ holder, token: leaseTransitions });
  });
  leases.start();
  bench.afterwards(() => leases.stop());
  await leases.whenSynced();
  return terms;
}

/** The build that the spec asks for, once the operator says that it is another one than before. */
async function target(bench: ScenarioBench, world: OperatedWorld, before = ""): Promise<string> {
  const queue = await bench.waitFor({
    type: TASK_QUEUES,
    name: "inline",
    namespace: world.namespace,
    until: (object) => (object?.status?.targetBuildId ?? before) !== before,
  });
  return queue.status?.targetBuildId ?? "";
}

/** Waits until the process that stood by leads and works, and shows that nothing of the other one is taken any more. */
async function takenOver(bench: ScenarioBench, pair: Pair, since: Since): Promise<number> {
  const { standby, world, pool, terms } = pair;
  const { fencingToken } = await standby.line("leading", since.lines);
  const takeoverMs = Math.round(performance.now() - since.ms);
  const before = await target(bench, world);
  await world.recode("other");
  await target(bench, world, before);
  const old = since.term.token;
  expect(fencingToken).toBe(old + 1);
  expect(terms.slice(since.terms)).toEqual([
    { holder: expect.not.stringMatching(since.term.holder), token: old + 1 },
  ]);
  const place = pg.escapeIdentifier(world.schema);
  // Each of these controllers raises its own fence with its first look at the Store.
  const fences = `
    select token from ${place}.leaders where role in ('builds', 'schedules', 'settings')
    union select fence from ${place}.workflow_definition_fence`;
  await expect
    .poll(async () => (await pool.query<{ token: string }>(fences)).rows, { timeout: FENCES_MS })
    .toEqual([{ token: String(old + 1) }]);
  for (const [statement, code] of lateWrites(place)) {
    const refused = await pool.query(statement, [old]).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code });
  }
  expect(takeoverMs).toBeLessThan(BUSY_FACTOR * TAKEOVER_MS);
  return takeoverMs;
}

/** What a leader sends to the database, with the SQLSTATE that one gets whom another has followed. */
function lateWrites(place: string): readonly (readonly [statement: string, code: string])[] {
  return [
    [`select ${place}.set_queue_builds('inline', '{"builds": []}', $1)`, "MF010"],
    [`select ${place}.set_store_settings(1, 1, $1)`, "MF010"],
    [`select ${place}.forget_schedules('nobody', '{}', $1)`, "MF010"],
    [`select ${place}.set_workflow_definitions('[]', $1)`, "MF004"],
  ];
}

/** Writes of reconciles: those of the lease and the Events are not among them. */
async function writeCount(operator: OperatorProcess): Promise<number> {
  const metrics = await operator.metrics();
  const counts = [...metrics].filter(([name]) =>
    /api_requests_total\{method="(PATCH|PUT|DELETE)"/u.test(name),
  );
  return counts.reduce((sum, [, count]) => sum + count, 0);
}

/** The same, once what it does at the begin is done. */
async function writesAtRest(operator: OperatorProcess): Promise<number> {
  for (let before = await writeCount(operator); ;) {
    await sleep(REST_MS);
    const now = await writeCount(operator);
    if (now === before) return now;
    before = now;
  }
}

scenario("a leader that is killed is followed within its lease and 2 s", async (bench) => {
  const pair = await setup(bench);
  const since = now(pair);
  pair.leader.signal("SIGKILL");
  const takeoverMs = await takenOver(bench, pair, since);
  console.log(`figure: failover-killed ${takeoverMs} ms`);
});

scenario("a leader that freezes is followed too, and writes nothing when it goes on", async (bench) => {
  const pair = await setup(bench);
  const { leader, standby, world, terms } = pair;
  const before = await writesAtRest(leader);
  const since = now(pair);
  const lineCount = leader.lines.length;
  leader.signal("SIGSTOP");
  const takeoverMs = await takenOver(bench, pair, since);
  leader.signal("SIGCONT");
  await leader.line("leadership lost", lineCount);
  const first = await target(bench, world);
  await world.recode("third");
  await target(bench, world, first);
  expect(await writeCount(leader)).toBe(before);
  expect([await isLeading(leader), await isLeading(standby)]).toEqual([false, true]);
  expect(terms).toHaveLength(since.terms + 1);
  console.log(`figure: failover-frozen ${takeoverMs} ms`);
});
