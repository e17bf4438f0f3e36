/**
 * Reflector and work queue together, under any schedule of faults and changes: once the faults have gone, the store equals the
 * server's objects, each change was followed by a reconcile that saw it or something newer, and no key was ever reconciled
 * twice at a time.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Fault, FaultTarget, Verb, WatchBreak } from "../testing/mock-api/faults.ts";
import { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { widget, WIDGETS } from "../testing/widgets.ts";
import type { Widget } from "../testing/widgets.ts";
import { KubeClient } from "./kube-client.ts";
import { Reflector } from "./reflector.ts";
import { identityOf, keyOf, parseKey } from "./wire.ts";
import { WorkQueue } from "./work-queue.ts";

const NAMES = ["a", "b", "c", "d", "e", "f", "g"] as const;
const CONCURRENCY = 3;

/** The names that exist. */
type Model = Set<string>;

/** The system: a server, and a reflector and queue that follow it. */
class World {
  readonly api: MockApiServer;
  /** What should never be; an error thrown by a reconcile would only make the queue try again. */
  readonly violations: string[] = [];
  readonly #client: KubeClient;
  readonly #reflector: Reflector<Widget>;
  readonly #queue: WorkQueue;
  readonly #running = new Set<string>();
  /** What the newest reconcile of a key that came to its end saw: a version, or that it was gone. */
  readonly #seen = new Map<string, string | undefined>();
  /** Every key that ever was. */
  readonly #keys = new Set<string>();
  #reconcileCount = 0;

  static async start(): Promise<World> {
    return new World(await MockApiServer.start({ types: [WIDGETS] }));
  }

  private constructor(api: MockApiServer) {
    this.api = api;
    const log = (): void => {};
    const backoff = { firstMs: 1, maxMs: 5 };
    this.#client = new KubeClient({
      kubeConfig: api.kubeConfig(),
      attemptMax: 2,
      attemptTimeoutMs: 150,
      backoff,
    });
    const tuning = { pageSize: 2, idleMs: 60, backoff };
    this.#reflector = new Reflector<Widget>({ client: this.#client, type: WIDGETS, log, ...tuning });
    this.#queue = new WorkQueue({
      name: "widgets",
      concurrency: CONCURRENCY,
      log,
      backoff,
      process: (key) => this.#reconcile(key),
    });
    this.#reflector.onChange(({ key }) => this.#queue.add(key));
    this.#reflector.start();
    this.#queue.start();
  }

  create(name: string): void {
    this.#keys.add(keyOf(identityOf(this.api.cluster.create(WIDGETS, widget(name)))));
  }

  update(name: string, size: number): void {
    this.api.cluster.replace(WIDGETS, widget(name, { spec: { size } }));
  }

  delete(name: string): void {
    this.api.cluster.delete(WIDGETS, { namespace: "default", name });
  }

  async untilConverged(): Promise<void> {
    this.api.faults.clear();
    await this.api.bell.until(() => this.#isEqual() && this.#isReconciled());
  }

  async stop(): Promise<void> {
    await this.#reflector.stop();
    await this.#queue.stop(0);
    await this.#client.close();
    await this.api.close();
  }

  async #reconcile(key: string): Promise<undefined> {
    if (this.#running.has(key)) this.violations.push(`${key} twice at a time`);
    this.#running.add(key);
    if (this.#running.size > CONCURRENCY) this.violations.push(`${this.#running.size} keys at a time`);
    const version = this.#reflector.store.get(key)?.metadata?.resourceVersion;
    const isBroken = ++this.#reconcileCount % 3 === 0;
    await new Promise((resolve) => setImmediate(resolve));
    this.#running.delete(key);
    if (isBroken) throw new Error("every third reconcile fails");
    this.#seen.set(key, version);
    this.api.bell.ring();
    return undefined;
  }

  #isEqual(): boolean {
    const known = this.#reflector.store.list().map(versionOf).toSorted();
    const actual = this.api.cluster.list(WIDGETS).map(versionOf).toSorted();
    return known.join() === actual.join();
  }

  /** A key that came and went while nobody watched need never have been seen. */
  #isReconciled(): boolean {
    return [...this.#keys].every((key) => {
      const version = this.api.cluster.find(WIDGETS, parseKey(key))?.metadata?.resourceVersion;
      return this.#seen.get(key) === version;
    });
  }
}

function versionOf(object: Widget): string {
  const { uid, resourceVersion, ...name } = identityOf(object);
  return `${keyOf(name)} ${uid} ${resourceVersion} ${object.spec?.size ?? 0}`;
}

type Command = fc.AsyncCommand<Model, World>;

function command(
  text: string,
  act: (world: World, model: Model) => void,
  check: (model: Model) => boolean = () => true,
): Command {
  return {
    check: (model) => check(model),
    run: async (model, world) => {
      act(world, model);
      // Some requests come through before the next command, some do not.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
    toString: () => text,
  };
}

const names = fc.constantFrom(...NAMES);
const breaks = fc.constantFrom<WatchBreak[]>(
  "reset",
  "end",
  "silence",
  "truncated-line",
  "garbled-line",
  { status: 410, reason: "Expired" },
  { status: 500, reason: "InternalError" },
);
const faults = fc.oneof(
  fc.constantFrom<Fault[]>(
    { kind: "reset" },
    { kind: "silence" },
    { kind: "refuse", status: 410, reason: "Expired" },
    { kind: "refuse", status: 429 },
    { kind: "refuse", status: 500 },
    { kind: "cut-body" },
    { kind: "stall-body" },
    { kind: "slow-body" },
    { kind: "garble" },
    { kind: "replay", count: 5 },
  ),
  fc.record({ kind: fc.constant("break-watch" as const), afterCount: fc.nat(3), by: breaks }),
);
const targets: fc.Arbitrary<FaultTarget> = fc
  .constantFrom<Verb[][]>(["list"], ["watch"])
  .map((verbs) => ({ verbs }));

const commands = fc.commands(
  [
    names.map((name) =>
      command(
        `create ${name}`,
        (world, model) => {
          model.add(name);
          world.create(name);
        },
        (model) => !model.has(name),
      ),
    ),
    fc.tuple(names, fc.nat(1_000_000)).map(([name, size]) =>
      command(
        `update ${name} to ${size}`,
        (world) => world.update(name, size),
        (model) => model.has(name),
      ),
    ),
    names.map((name) =>
      command(
        `delete ${name}`,
        (world, model) => {
          model.delete(name);
          world.delete(name);
        },
        (model) => model.has(name),
      ),
    ),
    fc
      .tuple(faults, targets, fc.integer({ min: 1, max: 3 }))
      .map(([fault, target, times]) =>
        command(`fault ${JSON.stringify([fault, target, times])}`, ({ api }) =>
          api.faults.inject(fault, target, times),
        ),
      ),
    breaks.map((by) => command(`break by ${JSON.stringify(by)}`, ({ api }) => api.breakWatches(by))),
    fc.constant(command("compact", ({ api }) => api.cluster.compact())),
    fc.constant(command("expire pages", ({ api }) => api.pages.expire())),
    fc.constant(command("bookmarks", ({ api }) => api.sendBookmarks())),
  ],
  { maxCommands: 40 },
);

test("whatever happened: the store equals the server, all was reconciled, never twice at a time", async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (all) => {
      const world = await World.start();
      try {
        await fc.asyncModelRun(() => ({ model: new Set<string>(), real: world }), all);
        await world.untilConverged();
        expect(world.violations).toEqual([]);
      } finally {
        await world.stop();
      }
    }),
    // A schedule that never converges is a counterexample too, after this time, which is no part of the claim.
    { numRuns: 60, timeout: 20_000, endOnFailure: true },
  );
});
