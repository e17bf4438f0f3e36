/**
 * Parity with HotMesh's `agent` and `pipeline`: hooks as the phases of one piece of work.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { QUEUE, serving } from "./serving.ts";

interface Reply {
  readonly signal: string;
}

const { assess } = MemFlow.workflow.proxyActivities({
  activities: { assess: (stance: string, query: string): string => `${stance} of ${query}` },
});

const hook = <Result>(workflowName: string, ...args: unknown[]): Promise<Result> =>
  MemFlow.workflow.execHook<Result>({ taskQueue: QUEUE, workflowName, args });

/** A phase: notes its assessment in the memory and answers with it. */
function phase(stance: string) {
  return async (query: string, reply: Reply): Promise<void> => {
    const memory = await MemFlow.workflow.entity();
    const text = await assess(stance, query);
    await memory.merge({ views: { [stance]: text } });
    await MemFlow.workflow.signal(reply.signal, { stance, text });
  };
}

const workflow = {
  /** The memory around a sleep. */
  basic: async () => {
    const memory = await MemFlow.workflow.entity();
    await memory.set({ steps: ["before"] });
    await MemFlow.workflow.sleepFor("10 milliseconds");
    await memory.append("steps", "after");
    return await memory.get();
  },
  agent: async (query: string) => {
    const memory = await MemFlow.workflow.entity();
    await memory.set({ query, views: {} });
    const batch = await MemFlow.workflow.execHookBatch<Record<string, { stance: string }>>(
      ["optimistic", "skeptical"].map((key) => ({
        key,
        options: { taskQueue: QUEUE, workflowName: key, args: [query], signalId: `${key}-complete` },
      })),
    );
    const verified = await hook<{ stance: string }>("verification", query);
    const summary = await hook<{ stance: string }>("synthesis", query);
    await memory.merge({ order: [...Object.keys(batch), verified.stance, summary.stance] });
    return await memory.get();
  },
  optimistic: phase("optimistic"),
  skeptical: phase("skeptical"),
  verification: phase("verification"),
  synthesis: phase("synthesis"),
  /** A hook per page, then validation, approval and notification. */
  pipeline: async (pages: readonly string[]) => {
    const memory = await MemFlow.workflow.entity();
    await memory.set({ pages: [], status: "reading" });
    for (const [number, page] of pages.entries()) await hook("readPage", page, number);
    const { valid } = await hook<{ valid: boolean }>("validate");
    const { approved } = await hook<{ approved: boolean }>("approve", valid);
    await hook("notify", approved);
    return await memory.get();
  },
  readPage: async (page: string, number: number, reply: Reply) => {
    const memory = await MemFlow.workflow.entity();
    await memory.append("pages", { number, text: await assess("text", page) });
    await MemFlow.workflow.signal(reply.signal, { number });
  },
  validate: async (reply: Reply) => {
    const memory = await MemFlow.workflow.entity();
    const pages = await memory.get<{ number: number }[]>("pages");
    await memory.merge({ status: "validated" });
    await MemFlow.workflow.signal(reply.signal, {
      valid: pages.every(({ number }, index) => number === index),
    });
  },
  approve: async (valid: boolean, reply: Reply) => {
    const memory = await MemFlow.workflow.entity();
    await memory.merge({ status: valid ? "approved" : "refused" });
    await MemFlow.workflow.signal(reply.signal, { approved: valid });
  },
  notify: async (approved: boolean, reply: Reply) => {
    const memory = await MemFlow.workflow.entity();
    await memory.merge({ notified: approved });
    await MemFlow.workflow.signal(reply.signal, {});
  },
};

test("basic: the memory is the same on both sides of a sleep", async () => {
  const { start } = await serving(workflow);
  expect(await (await start("basic")).result()).toEqual({ steps: ["before", "after"] });
});

test("agent: a batch of two hooks, then two more in turn; the merged memory is the result", async () => {
  const { start } = await serving(workflow);
  const handle = await start("agent", ["rain"]);
  const memory = {
    query: "rain",
    views: {
      optimistic: "optimistic of rain",
      skeptical: "skeptical of rain",
      verification: "verification of rain",
      synthesis: "synthesis of rain",
    },
    order: ["optimistic", "skeptical", "verification", "synthesis"],
  };
  expect(await handle.result()).toEqual(memory);
  expect(await handle.entity()).toEqual(memory);
});

test("pipeline: a hook for each page, then validation, approval and notification, in turn", async () => {
  const { start } = await serving(workflow);
  const handle = await start("pipeline", [["a", "b", "c"]]);
  expect(await handle.result()).toEqual({
    pages: [
      { number: 0, text: "text of a" },
      { number: 1, text: "text of b" },
      { number: 2, text: "text of c" },
    ],
    status: "approved",
    notified: true,
  });
});
