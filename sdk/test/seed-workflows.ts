/**
 * The workflows of the seed, as it writes them; what it leaves out (the views, the activities) is filled in plainly.
 */
import { MemFlow } from "@memflow/sdk";

export interface Finding {
  readonly by: string;
  readonly text: string;
}

interface Reply {
  readonly signal: string;
}

export interface AgentResult {
  readonly memory: unknown;
  readonly views: readonly unknown[];
}

async function analyzeDocument(data: string): Promise<{ readonly words: number }> {
  return await Promise.resolve({ words: data.split(" ").length });
}

async function validateFindings(analysis: { readonly words: number }): Promise<boolean> {
  return await Promise.resolve(analysis.words > 0);
}

const activities = MemFlow.workflow.proxyActivities<{
  analyzeDocument: typeof analyzeDocument;
  validateFindings: typeof validateFindings;
}>({
  activities: { analyzeDocument, validateFindings },
  retryPolicy: {
    maximumAttempts: 3,
    backoffCoefficient: 2,
  },
});

/** "Each workflow has a durable JSONB entity that serves as its memory." */
export async function remember(query: string): Promise<unknown> {
  const agent = await MemFlow.workflow.entity();
  const newFinding: Finding = { by: "remember", text: query };

  // Initialize entity state
  await agent.set({
    query,
    findings: [],
    status: "researching",
  });

  // Update state atomically
  await agent.merge({ status: "analyzing" });
  await agent.append("findings", newFinding);
  return await agent.get();
}

/** "Spawn and coordinate multiple perspectives/phases." */
export async function researchAgent(query: string): Promise<AgentResult> {
  const agent = await MemFlow.workflow.entity();
  await agent.set({ query, findings: [], status: "researching" });

  // Launch parallel research perspectives
  await MemFlow.workflow.execHook({
    taskQueue: "research",
    workflowName: "optimisticView",
    args: [query],
    signalId: "optimistic-complete",
  });

  await MemFlow.workflow.execHook({
    taskQueue: "research",
    workflowName: "skepticalView",
    args: [query],
    signalId: "skeptical-complete",
  });

  // Wait for both perspectives
  const views = await Promise.all([
    MemFlow.workflow.waitFor("optimistic-complete"),
    MemFlow.workflow.waitFor("skeptical-complete"),
  ]);
  await agent.merge({ status: "analyzing" });
  return { memory: await agent.get(), views };
}

export async function optimisticView(query: string, reply: Reply): Promise<void> {
  await answer("optimistic", query, reply);
}

export async function skepticalView(query: string, reply: Reply): Promise<void> {
  await answer("skeptical", query, reply);
}

/** "Define and execute durable activities with automatic retry." */
export async function analyze(data: string): Promise<boolean> {
  // Activities are durable and automatically retried
  const analysis = await activities.analyzeDocument(data);
  const validation = await activities.validateFindings(analysis);
  return validation;
}

/** "Build complex workflows through composition." */
export async function compose(data: string, updates: readonly string[]): Promise<unknown> {
  // Start a child workflow
  const childResult = await MemFlow.workflow.execChild({
    taskQueue: "analysis",
    workflowName: "detailedAnalysis",
    args: [data],
    // Child workflow config
    config: {
      maximumAttempts: 5,
      backoffCoefficient: 2,
    },
  });

  // Fire-and-forget child workflow
  const notified = await MemFlow.workflow.startChild({
    taskQueue: "notifications",
    workflowName: "sendUpdates",
    args: [updates],
  });
  return { childResult, notified };
}

export async function detailedAnalysis(data: string): Promise<unknown> {
  return await activities.analyzeDocument(data);
}

export async function sendUpdates(updates: readonly string[]): Promise<number> {
  await MemFlow.workflow.waitFor("go");
  return updates.length;
}

/** "Start workflow": the function of the two-file example. */
export async function example(input: string): Promise<string> {
  return await Promise.resolve(`example of ${input}`);
}

async function answer(by: string, query: string, reply: Reply): Promise<void> {
  const agent = await MemFlow.workflow.entity();
  await activities.analyzeDocument(query);
  await agent.append("findings", { by, text: query } satisfies Finding);
  await MemFlow.workflow.signal(reply.signal, { by, query });
}
