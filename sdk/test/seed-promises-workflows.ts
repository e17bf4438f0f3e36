/**
 * What the seed says in prose, as workflows: memory and activities that outlive their worker, retries, a clean shutdown.
 */
import { MemFlow } from "@memflow/sdk";

/** The queue of all of them. */
export const QUEUE = "promises";

/** Executions of activities in this process, by name. */
export const executions: Map<string, number> = new Map<string, number>();

function execute(name: string): number {
  const number = (executions.get(name) ?? 0) + 1;
  executions.set(name, number);
  return number;
}

const { analyzeDocument, validateFindings, unsteady } = MemFlow.workflow.proxyActivities({
  activities: {
    analyzeDocument: (data: string): number => {
      execute("analyzeDocument");
      return data.length;
    },
    validateFindings: (length: number): boolean => length > 0,
    /** Fails at its first execution. */
    unsteady: (): number => {
      const number = execute("unsteady");
      if (number === 1) throw new Error("not yet");
      return number;
    },
  },
  retryPolicy: { maximumAttempts: 3, backoffCoefficient: 2 },
});
const { refuse } = MemFlow.workflow.proxyActivities({
  activities: {
    refuse: (): never => {
      throw new RangeError("refused");
    },
  },
  retryPolicy: { maximumAttempts: 1 },
});

/** Fills its memory, waits, and goes on with it. */
export async function remembers(query: string): Promise<unknown> {
  const agent = await MemFlow.workflow.entity();
  await agent.set({ query, findings: [], status: "researching" });
  await agent.append("findings", await analyzeDocument(query));
  await MemFlow.workflow.waitFor("go on");
  await agent.merge({ status: "analyzing" });
  return { memory: await agent.get(), valid: await validateFindings(query.length) };
}

/** Two phases that each need the other to be under way. */
export async function perspectives(): Promise<unknown[]> {
  const phase = (name: string, other: string): Promise<unknown> =>
    MemFlow.workflow.execHook({
      taskQueue: QUEUE,
      workflowName: "meets",
      args: [name, other],
      signalId: `${name}-complete`,
    });
  return await Promise.all([phase("optimistic", "skeptical"), phase("skeptical", "optimistic")]);
}

/** Goes on once the other has come too. */
export async function meets(name: string, other: string, reply: { readonly signal: string }): Promise<void> {
  const memory = await MemFlow.workflow.entity();
  await memory.append("present", name);
  for (;;) {
    const present = await memory.get<string[]>("present");
    if (present.includes(other)) break;
    await MemFlow.workflow.sleepFor("10 milliseconds");
  }
  await MemFlow.workflow.signal(reply.signal, name);
}

export async function retries(): Promise<number> {
  return await unsteady();
}

/** The seed's way to tell an interruption from a failure. */
export async function fallsBack(): Promise<string> {
  try {
    await Promise.all([refuse(), MemFlow.workflow.sleepFor("1 millisecond")]);
    return "done";
  } catch (error) {
    // Check if this is a HotMesh interruption
    if (MemFlow.workflow.didInterrupt(error)) {
      // Rethrow the error
      throw error;
    }
    // Handle actual error
    return `fallback: ${(error as Error).message}`;
  }
}

/** Succeeds at its fifth attempt. */
export async function stumbles(): Promise<number> {
  const { attempt } = MemFlow.workflow.workflowInfo();
  if (attempt < 5) throw new Error(`attempt ${attempt}`);
  return await Promise.resolve(attempt);
}

/** A child with a configuration of its own. */
export async function composes(): Promise<number> {
  return await MemFlow.workflow.execChild<number>({
    taskQueue: QUEUE,
    workflowName: "stumbles",
    config: { maximumAttempts: 5, backoffCoefficient: 2, initialInterval: 1 },
  });
}

export async function waits(): Promise<unknown> {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ status: "waiting" });
  return await MemFlow.workflow.waitFor("go on");
}
