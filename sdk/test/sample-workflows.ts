/**
 * Six sample workflows that together use everything that a run can do: what the crash tests put through every crash.
 *
 * Their commands do not depend on the order in which concurrent work completes, so a history with a crash must equal one
 * without. Each effect of an activity is counted in `effects`, outside Postgres.
 */
import { currentActivity } from "@memflow/engine";
import { FatalError, MemFlow } from "@memflow/sdk";
import type { WorkflowInterceptor } from "@memflow/sdk";

/** Executions of activities, by workflow id and activity. */
export const effects: Map<string, number> = new Map<string, number>();

/** Failed attempts are tried again at once; a lost one may count as one. */
const QUICK = { maximumAttempts: 6, initialInterval: 1, backoffCoefficient: 1 } as const;

function countEffect(): void {
  const { workflowId, activityName } = currentActivity() ?? { workflowId: "", activityName: "" };
  const key = `${workflowId} ${activityName}`;
  effects.set(key, (effects.get(key) ?? 0) + 1);
}

const activities = {
  add: (left: number, right: number): number => {
    countEffect();
    return left + right;
  },
  double: async (value: number): Promise<number> => {
    countEffect();
    return await Promise.resolve(value * 2);
  },
  refuse: (value: string): never => {
    countEffect();
    throw new FatalError(`refused ${value}`);
  },
  /** Fails twice. */
  stumble: (value: string): string => {
    countEffect();
    const attempt = currentActivity()?.attempt ?? 0;
    if (attempt < 3) throw new Error(`stumbled at attempt ${attempt}`);
    return `${value} at last`;
  },
};

/** What the workers of the remote queue have. */
export const remote = {
  /** Served through the activity queue: its queue is another one than the workflow's. */
  elsewhere: (value: number): string => {
    countEffect();
    return `elsewhere ${value}`;
  },
  elsewhereStumbling: (value: string): string => {
    countEffect();
    const attempt = currentActivity()?.attempt ?? 0;
    if (attempt < 2) throw new Error(`stumbled elsewhere at attempt ${attempt}`);
    return `${value} elsewhere at last`;
  },
};

/** The queue of the remote activities, next to a workflow's own. */
export function remoteQueueOf(taskQueue: string): string {
  return `${taskQueue}-remote`;
}

const { add, double, refuse, stumble } = MemFlow.workflow.proxyActivities<typeof activities>({
  activities,
  retryPolicy: QUICK,
});

function remoteActivities(): ReturnType<typeof MemFlow.workflow.proxyActivities<typeof remote>> {
  const { taskQueue } = MemFlow.workflow.workflowInfo();
  return MemFlow.workflow.proxyActivities<typeof remote>({
    activities: remote,
    taskQueue: remoteQueueOf(taskQueue),
    retryPolicy: QUICK,
  });
}

/** 1. Activities one after another, with a sleep in between. */
export async function sequence(start: number): Promise<{ sum: number; random: number; at: string }> {
  let sum = start;
  for (let step = 1; step <= 3; step += 1) sum = await add(sum, step);
  await MemFlow.workflow.sleepFor(5);
  sum = await double(sum);
  const beganAt = MemFlow.workflow.workflowInfo().startTime;
  return { sum, random: Number.isFinite(MemFlow.workflow.random()) ? 1 : 0, at: typeof beganAt };
}

/** 2. Work side by side: all of it, the first of it, and what is left open at the end; local, remote, timers. */
export async function sideBySide(): Promise<unknown[]> {
  const { elsewhere, elsewhereStumbling } = remoteActivities();
  const all = await Promise.all([add(1, 2), double(4), elsewhere(7), MemFlow.workflow.sleepFor(8)]);
  const first = await Promise.race([double(21), MemFlow.workflow.sleepFor("1 hour")]);
  const settled = await Promise.allSettled([elsewhereStumbling("value"), stumble("here"), refuseFinally()]);
  const ticked = await new Promise<string>((resolve) => setTimeout(() => resolve("ticked"), 3));
  return [
    ...all,
    first,
    ...settled.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : String(outcome.reason))),
    ticked,
  ];
}

async function refuseFinally(): Promise<string> {
  try {
    return await refuse("this");
  } catch (error) {
    return `caught ${String(error)}`;
  }
}

/** 3. Signals from outside in a loop, and back and forth with a partner run. */
export async function callAndResponse(partner: string): Promise<unknown[]> {
  const heard: unknown[] = [];
  for (let turn = 0; turn < 2; turn += 1) {
    const told = await MemFlow.workflow.waitFor<{ turn: number }>("told");
    await MemFlow.workflow.signal(`${partner}-call`, told);
    heard.push(told, await MemFlow.workflow.waitFor(`${partner}-response`));
  }
  return heard;
}

/** The partner of `callAndResponse`. */
export async function responder(name: string): Promise<number> {
  let sum = 0;
  for (let turn = 0; turn < 2; turn += 1) {
    const told = await MemFlow.workflow.waitFor<{ turn: number }>(`${name}-call`);
    sum = await add(sum, told.turn);
    await MemFlow.workflow.signal(`${name}-response`, { turn: told.turn, sum });
  }
  return sum;
}

/** 4. Children: awaited, one that fails, one that outlives its parent. */
export async function family(): Promise<unknown[]> {
  const { taskQueue, workflowId } = MemFlow.workflow.workflowInfo();
  const config = { maximumAttempts: 1 };
  const failed = await MemFlow.workflow
    .execChild({ taskQueue, workflowName: "failingChild", args: ["on purpose"], config })
    .catch((error: unknown) => String(error));
  const survivor = await MemFlow.workflow.startChild({
    taskQueue,
    workflowName: "child",
    workflowId: `${workflowId}-survivor`,
    args: [1],
  });
  const pair = await Promise.all(
    [2, 3].map((value) =>
      MemFlow.workflow.execChild<number>({ taskQueue, workflowName: "child", args: [value], config }),
    ),
  );
  return [failed, survivor, ...pair];
}

export async function child(value: number): Promise<number> {
  const doubled = await double(value);
  await MemFlow.workflow.sleepFor(3);
  return await add(doubled, 1);
}

export async function failingChild(reason: string): Promise<never> {
  await add(1, 1);
  throw new RangeError(`failed ${reason}`);
}

/** 5. Hooks in one memory: awaited by signal, waited for, and left alone. */
export async function research(): Promise<unknown> {
  const { taskQueue } = MemFlow.workflow.workflowInfo();
  const memory = await MemFlow.workflow.entity();
  await memory.set({ views: {}, count: 0, notes: [] });
  await memory.append("notes", { text: "begun" });
  const [first, second] = await Promise.all([
    MemFlow.workflow.execHook({ taskQueue, workflowName: "view", args: ["first"] }),
    MemFlow.workflow.execHook({ taskQueue, workflowName: "view", args: ["second"], signalId: "second-done" }),
  ]);
  await MemFlow.workflow.hook({ taskQueue, workflowName: "aside" });
  const [again, aside] = await Promise.all([
    MemFlow.workflow.waitFor("second-done"),
    MemFlow.workflow.waitFor("aside-done"),
  ]);
  await memory.merge({ done: true });
  const count = await memory.increment("count", 10);
  // The views have answered, but may not have ended: a run's end cancels what is left of its hooks.
  await MemFlow.workflow.sleepFor(1_000);
  return { first, second, again, aside, count, entity: await memory.get() };
}

export async function view(name: string, reply: { signal: string }): Promise<void> {
  const memory = await MemFlow.workflow.entity();
  const length = await add(name.length, 0);
  await memory.merge({ views: { [name]: length } });
  await memory.increment("count");
  await MemFlow.workflow.signal(reply.signal, { name, length });
}

/** Still waits when its run ends, and is canceled then. */
export async function aside(): Promise<never> {
  const memory = await MemFlow.workflow.entity();
  await memory.setIfNotExists("aside", "noted");
  await memory.toggle("seen");
  await MemFlow.workflow.signal("aside-done", "done");
  return await MemFlow.workflow.waitFor<never>("never");
}

/** 6. A workflow that fails and starts anew, with an activity that stumbles and an interceptor around it. */
export async function persistent(): Promise<unknown> {
  const { attempt } = MemFlow.workflow.workflowInfo();
  const memory = await MemFlow.workflow.entity();
  const tries = await memory.increment("tries");
  const said = await stumble(`try ${attempt}`);
  if (attempt < 2) {
    // Left open by an attempt that fails: dropped by rule.
    void MemFlow.workflow.sleepFor("1 hour");
    throw new Error(`attempt ${attempt} failed after "${said}"`);
  }
  return { attempt, tries, said };
}

/** Audits `persistent` and nothing else. */
export const audit: WorkflowInterceptor = {
  execute: async (ctx, next) => {
    if (ctx.get("workflowName") !== "persistent") return await next();
    const before = await add(1, 0);
    try {
      const result = await next();
      const after = await add(before, 1);
      return { audited: after, result };
    } catch (error) {
      await add(100, 1);
      throw error;
    }
  },
};
