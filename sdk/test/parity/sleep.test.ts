/**
 * Parity with HotMesh's `sleep`: runs that sleep, and one that is ended while it sleeps.
 */
import { InterruptedError, MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually } from "../setup.ts";
import { QUEUE, serving } from "./serving.ts";

const { slowly } = MemFlow.workflow.proxyActivities({
  activities: { slowly: async (value: string): Promise<string> => await Promise.resolve(`slowly ${value}`) },
});

const workflow = {
  sleeps: async () => {
    const first = await MemFlow.workflow.sleepFor("10 milliseconds");
    const answer = await slowly("done");
    const second = await MemFlow.workflow.sleepFor("20 milliseconds");
    return [first, answer, second];
  },
  sleepsLong: async () => await MemFlow.workflow.sleepFor("1 hour"),
  holdsChild: async () =>
    await MemFlow.workflow.execChild({ workflowName: "sleepsLong", workflowId: "held" }),
};

test("sleeps one after another, with an activity between, give their seconds", async () => {
  const { start } = await serving(workflow);
  expect(await (await start("sleeps")).result()).toEqual([0.01, "slowly done", 0.02]);
});

test("an interrupt with descend and expire rejects with 410 and the job's id, ends the child, and leaves other runs alone", async () => {
  const { start, client, query } = await serving(workflow);
  const [parent, other] = await Promise.all([start("holdsChild"), start("sleepsLong")]);
  const child = await eventually("the child", () =>
    client.workflow.getHandle(QUEUE, "sleepsLong", "held").catch(() => undefined),
  );
  const waiting = parent.result();
  await parent.interrupt({ descend: true, expire: 60 });
  await expect(waiting).rejects.toMatchObject({ code: 410, job_id: parent.workflowId });
  await expect(waiting).rejects.toBeInstanceOf(InterruptedError);
  await expect(child.result()).rejects.toMatchObject({ code: 410 });
  expect(await other.status()).toBeGreaterThan(0);
  const kept = await query<{ kept: number }>(
    "select round(extract(epoch from expires_at - closed_at))::int as kept from runs where run_id = $1",
    [parent.runId],
  );
  expect(kept).toEqual([{ kept: 60 }]);
});
