/**
 * `memflow dev` from the first line to the exit code.
 *
 * The host of a database runs its workers; a guest, started while a host runs, only shows a run. Promises that whatever
 * ends it (the result, a failure, Ctrl-C) ends what it started, in order: the client, the workers, then Postgres.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { openDatabase, provisionSchemas, releaseRunsOf, removeEmbedded } from "./database.ts";
import type { DevDatabase } from "./database.ts";
import { makeDevPlan } from "./dev-plan.ts";
import type { DevPlan, RunWish } from "./dev-plan.ts";
import type { DevGateway } from "./dev-gateway.ts";
import { DevRuns } from "./dev-runs.ts";
import { DevScreen } from "./dev-screen.ts";
import { FileWatch } from "./file-watch.ts";
import { InterruptedError, listenForInterruption } from "./interruption.ts";
import type { Interruption } from "./interruption.ts";
import { describeInvocation } from "./invocation.ts";
import { WorkerRegister } from "./orphans.ts";
import { QueueScaler } from "./queue-scaler.ts";
import { readManifests } from "./read-manifests.ts";
import { showRun } from "./show-run.ts";
import { planStores } from "./store-plan.ts";
import type { StorePlan } from "./store-plan.ts";
import { makeTerminal } from "../show/terminal.ts";
import { WorkerPool } from "./worker-pool.ts";
import type { WorkerReady } from "./worker-process.ts";

/** The command line. */
export interface DevOptions extends RunWish {
  readonly file: string;
  readonly once: boolean;
  readonly data: string;
  readonly fresh: boolean;
}

/**
 * Runs the command.
 *
 * @returns The exit code, see `exit-codes.ts`.
 * @throws {CommandError} When something is wrong or missing; everything that was started has ended by then.
 */
export async function runDev(options: DevOptions): Promise<number> {
  const screen = new DevScreen(
    makeTerminal(process.stdout, process.env),
    describeInvocation(process.argv.slice(2), process.env),
  );
  screen.title(options.file);
  if (process.platform === "win32") screen.windows();
  const manifests = await readManifests(options.file);
  const session = new DevSession(options, {
    plan: makeDevPlan(manifests, options),
    stores: planStores(manifests),
    screen,
  });
  return await session.run();
}

/** One start: what it holds, so that it can be given back. */
class DevSession {
  readonly #options: DevOptions;
  #plan: DevPlan;
  #stores: readonly StorePlan[];
  readonly #screen: DevScreen;
  readonly #dataDir: string;
  readonly #interruption: Interruption;
  readonly #databaseLost = Promise.withResolvers<never>();
  #pool: WorkerPool | undefined;
  #scaler: QueueScaler | undefined;
  #gateway: DevGateway | undefined;
  /** Resolves with whatever comes of it. */
  #gatewayStart: Promise<unknown> = Promise.resolve();
  #isFinished = false;

  constructor(
    options: DevOptions,
    {
      plan,
      stores,
      screen,
    }: { readonly plan: DevPlan; readonly stores: readonly StorePlan[]; readonly screen: DevScreen },
  ) {
    this.#options = options;
    this.#plan = plan;
    this.#stores = stores;
    this.#screen = screen;
    this.#dataDir = path.resolve(options.data);
    this.#interruption = listenForInterruption(() => this.#endAtOnce());
    this.#databaseLost.promise.catch(() => undefined);
  }

  async run(): Promise<number> {
    let database: DevDatabase | undefined;
    try {
      await this.#prepareDataDir();
      database = await this.#openDatabase();
      return database.role === "host" ? await this.#host(database) : await this.#visit(database);
    } catch (error) {
      if (!(error instanceof InterruptedError)) throw error;
      return this.#isFinished ? EXIT_CODES.done : EXIT_CODES.interrupted;
    } finally {
      await database?.stop();
      this.#interruption.close();
      if (this.#interruption.signal.aborted && database?.role === "host") this.#screen.resume();
    }
  }

  /** Runs the workers and shows the run. */
  async #host(database: DevDatabase): Promise<number> {
    const { unless, asked } = this.#interruption;
    const register = new WorkerRegister(this.#dataDir);
    const { endedCount, gonePids } = await register.endOrphans();
    if (endedCount > 0) this.#screen.notice(`ended ${endedCount} workers that an earlier start left behind`);
    await unless(provisionSchemas(database.url, this.#plan.schemas));
    await unless(releaseRunsOf(gonePids, database.url, this.#plan.schemas));
    this.#screen.database(database.description, this.#plan.schemas);
    const pool = this.#makePool(database, register);
    this.#pool = pool;
    const scaler = this.#makeScaler(database, pool);
    let watching: FileWatch | undefined;
    try {
      const [ready, gateway] = await unless(
        Promise.all([pool.start(), this.#startGateway(database, scaler)]),
      );
      this.#assertServed(ready);
      this.#screen.workers(this.#plan);
      this.#screen.gateway(gateway.url);
      scaler.start();
      watching = await this.#watchFiles(database, pool, scaler);
      const failures = Promise.race([pool.failed, this.#databaseLost.promise]);
      const exitCode = await unless(Promise.race([this.#followRun(database.url), failures]));
      this.#isFinished = true;
      this.#screen.howToGoOn(this.#takesCorpus(), !this.#options.once);
      if (this.#options.once) return exitCode;
      await Promise.race([asked, failures]);
      return EXIT_CODES.done;
    } finally {
      watching?.close();
      if (this.#interruption.signal.aborted) this.#screen.stopping();
      await scaler.stop();
      await this.#gatewayStart;
      await this.#gateway?.stop();
      await pool.stop();
    }
  }

  /** Shows the run that another process's workers run. */
  async #visit(database: DevDatabase): Promise<number> {
    this.#screen.otherHost(database.description);
    const exitCode = await this.#interruption.unless(this.#followRun(database.url));
    this.#isFinished = true;
    this.#screen.howToGoOn(this.#takesCorpus(), false);
    return exitCode;
  }

  async #followRun(databaseUrl: string): Promise<number> {
    const { run: plan } = this.#plan;
    const runs = await DevRuns.open(databaseUrl, plan.schema);
    try {
      const run = await runs.startOrContinue(plan);
      this.#screen.run(run, plan);
      return await showRun({
        runs,
        run,
        screen: this.#screen,
        endsWhenParked: this.#options.once,
        signal: this.#interruption.signal,
      });
    } finally {
      await runs.close();
    }
  }

  async #openDatabase(): Promise<DevDatabase> {
    const databaseUrl = process.env["DATABASE_URL"];
    const given = databaseUrl === undefined || databaseUrl === "" ? undefined : databaseUrl;
    if (this.#options.fresh && given !== undefined) {
      throw new CommandError(
        EXIT_CODES.usage,
        `--fresh removes only the embedded database; in yours drop the schemas yourself: ${this.#plan.schemas.join(", ")}`,
      );
    }
    if (this.#options.fresh) await removeEmbedded(this.#dataDir);
    return openDatabase({
      dataDir: this.#dataDir,
      databaseUrl: given,
      schemas: this.#plan.schemas,
      onNotice: (notice) => this.#screen.notice(notice),
      onMoved: (url) => this.#moveTo(url),
      onLost: (error) => this.#databaseLost.reject(error),
    });
  }

  #makePool(database: DevDatabase, register: WorkerRegister): WorkerPool {
    for (const { taskQueue, inheritedVariables } of this.#plan.queues) {
      const missing = inheritedVariables.filter((name) => process.env[name] === undefined);
      if (missing.length === 0) continue;
      this.#screen.notice(
        `queue ${taskQueue}: set ${missing.join(", ")} in your environment; a cluster takes it from a Secret`,
      );
    }
    return new WorkerPool({
      queues: this.#plan.queues,
      databaseUrl: database.url,
      register,
      onDeath: (pid) => releaseRunsOf([pid], database.url, this.#plan.schemas),
      onLine: (worker, line) => this.#screen.worker(worker, line),
      onNotice: (notice) => this.#screen.notice(notice),
    });
  }

  #makeScaler(database: DevDatabase, pool: WorkerPool): QueueScaler {
    const scaler = new QueueScaler({
      databaseUrl: database.url,
      pool,
      onScaled: (taskQueue, message) => this.#screen.notice(`queue ${taskQueue}: ${message}`),
    });
    scaler.replan(this.#plan.queues);
    this.#scaler = scaler;
    return scaler;
  }

  async #startGateway(database: DevDatabase, scaler: QueueScaler): Promise<DevGateway> {
    // Takes its time to load, which the workers need as well.
    const { DevGateway: Gateway } = await import("./dev-gateway.ts");
    this.#gateway = await Gateway.start({
      dataDir: this.#dataDir,
      databaseUrl: database.url,
      stores: this.#stores,
      scalingOf: (taskQueue) => scaler.scalingOf(taskQueue),
      onNotice: (notice) => this.#screen.notice(notice),
    });
    return this.#gateway;
  }

  async #watchFiles(database: DevDatabase, pool: WorkerPool, scaler: QueueScaler): Promise<FileWatch> {
    return FileWatch.start({
      places: [this.#options.file, ...this.#plan.queues.map(({ module }) => module)],
      onChange: (files) => void this.#reload(files, { database, pool, scaler }),
      onNotice: (notice) => this.#screen.notice(notice),
    });
  }

  /** Takes changed manifests and code; what is wrong with them is said, and what runs goes on as it is. */
  async #reload(
    files: readonly string[],
    {
      database,
      pool,
      scaler,
    }: { readonly database: DevDatabase; readonly pool: WorkerPool; readonly scaler: QueueScaler },
  ): Promise<void> {
    try {
      const manifests = await readManifests(this.#options.file);
      const plan = makeDevPlan(manifests, this.#options);
      await provisionSchemas(database.url, plan.schemas);
      if (this.#interruption.signal.aborted) return;
      this.#plan = plan;
      this.#stores = planStores(manifests);
      this.#gateway?.replan(this.#stores);
      scaler.replan(plan.queues);
      pool.replan(plan.queues);
      this.#renewCode(files, pool);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#screen.notice(`not reloaded, the last state goes on: ${reason}`);
    }
  }

  /** Workers whose code changed give way to new ones; manifests are no code. */
  #renewCode(files: readonly string[], pool: WorkerPool): void {
    const code = files.filter((file) => !/\.(ya?ml|md)$/u.test(file));
    if (code.length === 0) {
      this.#screen.notice(`reloaded: ${names(files)}`);
      return;
    }
    for (const { taskQueue, module } of this.#plan.queues) {
      if (!code.some((file) => file === module || file.startsWith(folderOf(module)))) continue;
      this.#screen.notice(`queue ${taskQueue}: new code (${names(code)}); the workers hand over`);
      pool.renew(taskQueue);
    }
  }

  #moveTo(url: string): void {
    this.#pool?.moveTo(url);
    this.#moveReadersTo(url).catch((error: unknown) => this.#databaseLost.reject(error));
  }

  async #moveReadersTo(url: string): Promise<void> {
    await this.#scaler?.moveTo(url);
    await this.#gateway?.moveTo(url);
  }

  /** A workflow that no module exports would wait for ever. */
  #assertServed(ready: readonly WorkerReady[]): void {
    const { workflowName, taskQueue } = this.#plan.run;
    const worker = ready.find((candidate) => candidate.taskQueue === taskQueue);
    if (worker === undefined || worker.workflows.includes(workflowName)) return;
    const queue = this.#plan.queues.find((candidate) => candidate.taskQueue === taskQueue);
    throw new CommandError(
      EXIT_CODES.usage,
      `workflow "${workflowName}" is not exported by "${queue?.module ?? ""}"; it exports: ${worker.workflows.join(", ")}`,
    );
  }

  async #prepareDataDir(): Promise<void> {
    try {
      await mkdir(this.#dataDir, { recursive: true });
      await writeFile(path.join(this.#dataDir, ".gitignore"), "*\n");
    } catch (cause) {
      throw new CommandError(
        EXIT_CODES.failure,
        `the data folder "${this.#dataDir}" can't be written: choose another one with --data`,
        cause,
      );
    }
  }

  #takesCorpus(): boolean {
    const [input] = this.#plan.run.args;
    return typeof input === "object" && input !== null;
  }

  /** A second Ctrl-C: the workers are killed; Postgres hears of the exit and ends by itself. */
  #endAtOnce(): void {
    this.#pool?.kill();
    process.exit(EXIT_CODES.interrupted);
  }
}

/** The folder of a module, with its separator at the end. */
function folderOf(module: string): string {
  return `${path.extname(module) === "" ? module : path.dirname(module)}${path.sep}`;
}

function names(files: readonly string[]): string {
  return files.map((file) => path.basename(file)).join(", ");
}
