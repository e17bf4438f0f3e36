/**
 * A process of the bench: one subject's client or worker, driven by the parent's calls. Ends with its parent.
 */
import type {
  AnswerMessage,
  CallMessage,
  CallName,
  Calls,
  Load,
  LoadResult,
  ProcessRole,
} from "./process-calls.ts";
import { takeStepTimes } from "./jobs.ts";
import { percentile } from "./statistics.ts";
import type { SubjectClient, SubjectWorker } from "./subject.ts";

type Handlers = {
  readonly [Name in CallName]: (argument: Calls[Name]["argument"]) => Promise<Calls[Name]["answer"]>;
};

const NOT_THIS_ROLE = "this call is not for this role or subject";

const role = JSON.parse(process.argv[2] ?? "{}") as ProcessRole;
const answer = (message: AnswerMessage): void => void process.send?.(message);
process.on("disconnect", () => process.exit(0));
try {
  const handlers = handlersOf(
    role.role === "client" ? await openClient(role) : undefined,
    role.role === "worker" ? await openWorker(role) : undefined,
  );
  process.on("message", ({ id, name, argument }: CallMessage) => {
    const handle = handlers[name] as (argument: unknown) => Promise<unknown>;
    handle(argument).then(
      (value) => answer({ id, answer: value }),
      (error: unknown) => answer({ id, error: describe(error) }),
    );
  });
  answer({ id: 0, answer: null });
} catch (error) {
  answer({ id: 0, error: describe(error) });
}

async function openClient({ subject, url }: ProcessRole): Promise<SubjectClient> {
  if (subject === "engine") return await (await import("./engine-subject.ts")).openEngineClient(url);
  if (subject === "dbos") return await (await import("./dbos-subject.ts")).openDbos(url);
  if (subject === "starts") return await (await import("./start-subjects.ts")).openStarter(url);
  if (subject === "http-starts") return await (await import("./start-subjects.ts")).openHttpStarter(url);
  const run = await (await import("./raw-loop.ts")).openRawClient(url);
  return { run, close: () => Promise.resolve() };
}

async function openWorker({ subject, url, watchReplays = false }: ProcessRole): Promise<SubjectWorker> {
  if (subject === "engine")
    return await (await import("./engine-subject.ts")).openEngineWorker(url, { watchReplays });
  await (await import("./raw-loop.ts")).openRawWorker(url);
  return { close: () => Promise.resolve() };
}

function handlersOf(client: SubjectClient | undefined, worker: SubjectWorker | undefined): Handlers {
  return {
    load: async (load) => await execute(required(client), load),
    park: async ({ job, runs }) => {
      const park = required(required(client).park);
      return await Promise.all(Array.from({ length: runs }, () => park(job)));
    },
    unpark: async (workflowId) => {
      const start = performance.now();
      await required(required(client).unpark)(workflowId);
      return performance.now() - start;
    },
    stepTimes: async () => await Promise.resolve(takeStepTimes()),
    replays: async () => await Promise.resolve(required(required(worker).takeReplays)()),
    heapBytes: async () => await Promise.resolve(heapBytes()),
    cpuMs: async () => await Promise.resolve(cpuMs()),
    close: async () => {
      await (client ?? required(worker)).close();
      return null;
    },
  };
}

/**
 * Keeps `outstanding` runs under way until the window closes, then lets them end. Counts what ends in the window, or
 * everything where nothing did.
 */
async function execute(client: SubjectClient, load: Load): Promise<LoadResult> {
  const { job, outstanding, warmUpMs, windowMs, runsMax = Infinity } = load;
  const startedAt = performance.now();
  const opensAt = startedAt + warmUpMs;
  const closesAt = opensAt + windowMs;
  const ended: { readonly at: number; readonly latencyMs: number }[] = [];
  let started = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() < closesAt && started < runsMax) {
      started += 1;
      const from = performance.now();
      const result = await client.run(job);
      const at = performance.now();
      ended.push({ at, latencyMs: at - from });
      if (result === job.count) continue;
      throw new Error(`job "${job.workflow}" returned ${JSON.stringify(result)}, not ${job.count}`);
    }
  };
  await Promise.all(Array.from({ length: outstanding }, loop));
  const counted = ended.filter(({ at }) => at >= opensAt && at <= closesAt);
  const inTime = counted.length > 0 && started < runsMax;
  const latencies = (inTime ? counted : ended).map(({ latencyMs }) => latencyMs);
  return {
    runs: latencies.length,
    elapsedMs: inTime ? windowMs : performance.now() - startedAt,
    allRuns: started,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}

function heapBytes(): number {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
  for (let round = 0; round < 3; round += 1) globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error(NOT_THIS_ROLE);
  return value;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
