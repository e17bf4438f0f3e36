import { MemFlow } from "@memflow/sdk";
import { checkTerminalStates, lookAtStore, testSource } from "@memflow/engine/testing";
import { expect, test } from "vitest";
import { setup } from "./setup.ts";

const { stumble } = MemFlow.workflow.proxyActivities<{ stumble(): string }>({
  activities: {
    stumble: () => {
      stumbled += 1;
      if (stumbled === 1) throw new Error("once");
      return "done";
    },
  },
  retryPolicy: { maximumAttempts: 3, initialInterval: 0 },
});
let stumbled = 0;

async function stumbling(): Promise<string> {
  return await stumble();
}

async function waitInVain(): Promise<string> {
  return await Promise.race([
    MemFlow.workflow.waitFor<string>("never"),
    MemFlow.workflow.sleepFor(50).then(() => "slept"),
  ]);
}

test("an ended run leaves no attempt and no wait behind", async () => {
  const store = await setup();
  await store.worker({ taskQueue: "ended", workflow: { stumbling, waitInVain } });
  const run = (workflowName: string): Promise<unknown> =>
    store.client.workflow.execute({ taskQueue: "ended", workflowName });

  await expect(run("stumbling")).resolves.toBe("done");
  await expect(run("waitInVain")).resolves.toBe("slept");

  const place = { source: testSource(), schema: store.namespace };
  expect(await lookAtStore(place, (snapshot) => checkTerminalStates(snapshot))).toEqual([]);
});
