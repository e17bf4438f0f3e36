/**
 * The operator dies by SIGKILL at every place where it can leave something half done, and the next one comes to the same end.
 *
 * An undisturbed life of a world (it is made, changed, deleted) tells which places each of these stages has, and how it ends.
 * Other worlds go through the same while their operators die one after the other, each at one of these places, until each
 * place has killed one. Every stage of theirs ends as the undisturbed one.
 */
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import {
  objectsLeft,
  OperatedWorld,
  OperatorProcess,
  releaseLease,
  startEmbedded,
  useCluster,
} from "../cluster/testing/index.ts";
import type { ScenarioBench, WorldPicture, WorldPlace } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "fake-nodes", fakeNodeCount: 2 });

const MANIFESTS = fileURLToPath(new URL("../../crds/manifests", import.meta.url));
const LOOK_MS = 300;
const LIMIT_MS = 600_000;
/** For which nothing may come of it until a stage counts as one that does not come to its end. */
const PATIENCE_MS = 90_000;
/** An operator that is to die mostly has by then; the others are looked at. */
const DEATH_MS = 3_000;
/** Each dies at its share of the places. */
const WORLDS_AT_ONCE = 3;
/** Controllers run side by side: where another place comes first by chance, one may be out of reach for the rest of a life. */
const ROUNDS_MAX = 3;

/** What happens to a world, and what tells that it is over. */
const STAGES = {
  made: {
    begin: (world: OperatedWorld) => world.create(),
    isOver: (picture: WorldPicture) => isAtRest(picture) && replicasOf(picture).join() === "1,0",
  },
  changed: {
    begin: (world: OperatedWorld) => world.change(),
    isOver: (picture: WorldPicture) => isAtRest(picture) && replicasOf(picture).join() === "3,0",
  },
  deleted: {
    begin: (world: OperatedWorld) => world.remove(),
    isOver: ({ database, ...objects }: WorldPicture) =>
      JSON.stringify(database) === '{"schema":"none","roles":0}' &&
      Object.values(objects).flat().length === 1,
  },
} as const;
const STAGE_NAMES = ["made", "changed", "deleted"] as const;

interface Stage {
  readonly name: keyof typeof STAGES;
  /** Where an operator can die in it. */
  readonly places: readonly string[];
  /** How it ends. */
  readonly picture: WorldPicture;
}

scenario(
  "killed at each fault point of each reconcile, it converges to the same objects, statuses and rows",
  async (bench) => {
    await bench.kubectl(["apply", "-f", MANIFESTS]);
    const place = { client: bench.client, ...(await startEmbedded(bench)) };
    const startMs = performance.now();
    const stages = await recordStages(bench, place);
    const undisturbedMs = performance.now() - startMs;
    const deadly = placesOf(stages, bench.isLong);
    let open = deadly;
    for (let round = 1; round <= ROUNDS_MAX && open.flat().length > 0; round += 1) {
      const shares = shareOut(open, Math.min(WORLDS_AT_ONCE, open.flat().length));
      const left = await Promise.all(
        shares.map(async (share, index) => {
          const world = new OperatedWorld(`${bench.namespace}-${round}-${index}`, place);
          const missed = await new DeadlyLife(bench, world).live(stages, share);
          expect(await objectsLeft(bench, world.namespace)).toEqual(["secret/postgres"]);
          return missed;
        }),
      );
      open = stages.map((_, index) => left.flatMap((missed) => missed[index] ?? []));
      console.log(`round ${round}: out of reach ${JSON.stringify(open.flat())}`);
    }
    expect(open.flat()).toEqual([]);
    const kills = stages.map(({ name }, index) => `${name} ${deadly[index]?.length ?? 0}`);
    console.log(`killed: ${kills.join(", ")}`);
    console.log(`figure: operator-kills-undisturbed ${Math.round(undisturbedMs)} ms`);
    console.log(`figure: operator-kills ${Math.round(performance.now() - startMs)} ms`);
  },
  LIMIT_MS,
);

/** Two worlds at once: a stage is over when both are, and the same. */
async function recordStages(bench: ScenarioBench, place: WorldPlace): Promise<readonly Stage[]> {
  const worlds = ["x", "y"].map((name) => new OperatedWorld(`${bench.namespace}-${name}`, place));
  const stages: Stage[] = [];
  for (const name of STAGE_NAMES) {
    const operator = new OperatorProcess(bench, { MEMFLOW_OPERATOR_CRASH_AT: "record" });
    await Promise.all(worlds.map((world) => STAGES[name].begin(world)));
    const picture = await bothAre(worlds, STAGES[name].isOver);
    operator.signal("SIGTERM");
    expect(await operator.end()).toBe(0);
    const passed = operator.lines.filter(({ message }) => message === "passed a crash point");
    stages.push({ name, places: passed.map((line) => String(line["place"])), picture });
  }
  return stages;
}

async function bothAre(
  worlds: readonly OperatedWorld[],
  isOver: (picture: WorldPicture) => boolean,
): Promise<WorldPicture> {
  for (let leftMs = PATIENCE_MS; ; leftMs -= LOOK_MS) {
    await Promise.all(worlds.map((world) => world.passGates()));
    const [one, other] = await Promise.all(worlds.map((world) => world.picture()));
    if (one !== undefined && isDeepStrictEqual(one, other) && isOver(one)) return one;
    if (leftMs <= 0) {
      expect(one).toEqual(other);
      throw new Error(`the undisturbed worlds do not come to rest: ${JSON.stringify(one, undefined, 1)}`);
    }
    await sleep(LOOK_MS);
  }
}

/** Of each stage those where no earlier one has had its death; with `all`, and at the end, also the others. */
function placesOf(stages: readonly Stage[], all: boolean): readonly (readonly string[])[] {
  const known = new Set<string>();
  return stages.map(({ name, places }) => {
    const own = places.filter((place) => all || name === "deleted" || !known.has(place));
    for (const place of own) known.add(place);
    return own;
  });
}

/** To each world some places of each stage: neighbours go to different ones. */
function shareOut(
  places: readonly (readonly string[])[],
  count: number,
): readonly (readonly (readonly string[])[])[] {
  return Array.from({ length: count }, (_, world) =>
    places.map((ofStage) => ofStage.filter((_place, index) => index % count === world)),
  );
}

/** A world whose operators die one after the other. */
class DeadlyLife {
  readonly #bench: ScenarioBench;
  readonly #world: OperatedWorld;

  constructor(bench: ScenarioBench, world: OperatedWorld) {
    this.#bench = bench;
    this.#world = world;
  }

  /** Goes through all stages, and gives for each the places that no operator came to. */
  async live(
    stages: readonly Stage[],
    places: readonly (readonly string[])[],
  ): Promise<readonly (readonly string[])[]> {
    const missed: (readonly string[])[] = [];
    for (const [index, stage] of stages.entries())
      missed.push(await this.#liveStage(stage, places[index] ?? []));
    return missed;
  }

  async #liveStage({ name, picture }: Stage, places: readonly string[]): Promise<readonly string[]> {
    const open = new Set(places);
    let operator = this.#start(open);
    await STAGES[name].begin(this.#world);
    for (;;) {
      const end = await this.#endOrRest(operator, open.size > 0, picture);
      await releaseLease(this.#bench, this.#world.namespace);
      if (end === "rest") break;
      const last = operator.lines.at(-1);
      expect({ end, last }).toMatchObject({ end: "SIGKILL", last: { message: "dies at a crash point" } });
      expect(open.delete(String(last?.["place"]))).toBe(true);
      operator = this.#start(open);
    }
    return [...open];
  }

  /** Waits until the operator has died, or leads a world that is as it should be, and stays so. */
  async #endOrRest(operator: OperatorProcess, isToDie: boolean, wanted: WorldPicture): Promise<unknown> {
    const end = operator.end();
    let restCount = 0;
    let leadingMs = 0;
    for (let leftMs = PATIENCE_MS; ; leftMs -= LOOK_MS) {
      const ended = await Promise.race([end, sleep(LOOK_MS, undefined)]);
      if (ended !== undefined) return ended;
      if (!operator.isLeading && leftMs > 0) continue;
      leadingMs += LOOK_MS;
      await this.#world.passGates();
      // A look costs the machine as much as a piece of the operator's work.
      if (isToDie && leadingMs < DEATH_MS && leftMs > 0) continue;
      const picture = await this.#world.picture();
      if (leftMs <= 0) expect(picture).toEqual(wanted);
      restCount = isDeepStrictEqual(picture, wanted) ? restCount + 1 : 0;
      if (restCount < 2) continue;
      operator.signal("SIGKILL");
      await end;
      return "rest";
    }
  }

  /** It looks after this world alone, and has no rival. */
  #start(open: ReadonlySet<string>): OperatorProcess {
    const { namespace } = this.#world;
    return new OperatorProcess(this.#bench, {
      MEMFLOW_OPERATOR_WATCH_NAMESPACES: namespace,
      MEMFLOW_OPERATOR_LEASE_NAME: namespace,
      MEMFLOW_OPERATOR_CRASH_AT: [...open].join(","),
    });
  }
}

interface Pictured {
  readonly spec?: { readonly replicas?: number };
  readonly readyReplicas?: number;
  readonly status?: { readonly conditions?: readonly string[]; readonly versions?: readonly unknown[] };
}

/** All is ready, there is one build of each queue, and workers are as they should be. */
function isAtRest(picture: WorldPicture): boolean {
  const ours = ["stores", "taskqueues", "workflows", "schedules"].flatMap((plural) =>
    listed(picture, plural),
  );
  return (
    ours.every(({ status }) => status?.conditions?.some((condition) => condition.startsWith("Ready True"))) &&
    listed(picture, "deployments").length === 2 &&
    listed(picture, "taskqueues").every(({ status }) => status?.versions?.length === 1) &&
    listed(picture, "deployments").every(({ spec, readyReplicas }) => spec?.replicas === readyReplicas)
  );
}

function replicasOf(picture: WorldPicture): readonly unknown[] {
  return listed(picture, "deployments").map(({ spec }) => spec?.replicas);
}

function listed(picture: WorldPicture, plural: string): readonly Pictured[] {
  return picture[plural] as readonly Pictured[];
}
