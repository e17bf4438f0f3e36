/**
 * Parity with HotMesh's `hook` and `goodbye`: a second function in the context of a run, started by a client, with the
 * run's search data.
 */
import { MemFlow, Search } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually } from "../setup.ts";
import { QUEUE, serving } from "./serving.ts";

const { greet } = MemFlow.workflow.proxyActivities({
  activities: { greet: (name: string): string => `hello ${name}` },
});
const topics: string[] = [];

const workflow = {
  child: async (name: string) => await greet(`child ${name}`),
  /** Works with its search data, starts children, and waits for the hook's signal. */
  example: async (name: string) => {
    const search = await MemFlow.workflow.search();
    const setCount = await search.set("custom1", "durable", "custom2", "55");
    const counter = await search.incr("counter", 10);
    await search.set({ jimbo: "jones" });
    const product = await search.mult("multer", 12);
    const [started, executed] = await Promise.all([
      MemFlow.workflow.startChild({ workflowName: "child", args: ["started"] }),
      MemFlow.workflow.execChild<string>({ workflowName: "child", args: ["executed"] }),
    ]);
    const seeded = await search.get("fred");
    const signaled = await MemFlow.workflow.waitFor<{ data: string }>("abcdefg");
    const many = await search.mget("jimbo", "counter", "multer", "nothing");
    return { setCount, counter, product, started, executed, seeded, signaled, many, said: await greet(name) };
  },
  /** Runs in the context of `example`. */
  exampleHook: async (name: string) => {
    const search = await MemFlow.workflow.search();
    await search.incr("counter", 100);
    await search.mult("multer", 10);
    await search.set("jimbo", "hooked", "hookOnly", "yes");
    const gone = await search.del("custom2");
    await MemFlow.workflow.trace({ "my.attribute": name });
    const enriched = await MemFlow.workflow.enrich({ enriched: "field" });
    const emitted = await MemFlow.workflow.emit({ "my.topic": { name } });
    const slept = await MemFlow.workflow.sleepFor("10 milliseconds");
    const said = await greet(name);
    const [child] = await Promise.all([
      MemFlow.workflow.execChild<string>({ workflowName: "child", args: ["of hook"] }),
      MemFlow.workflow.startChild({ workflowName: "child", args: ["beside"] }),
    ]);
    topics.push(`${gone} ${enriched} ${emitted}`);
    await MemFlow.workflow.signal("abcdefg", { data: `${said}, ${child}, ${slept}` });
  },
};

/** A run of `example` that was hooked by a client, with its result. */
async function hooked() {
  const served = await serving(workflow);
  const handle = await served.start("example", ["HookMesh"], {
    workflowId: "hooked",
    search: { data: { fred: "flintstone", barney: "rubble" } },
  });
  await eventually("it waits", async () => (await served.query("select from waits")).length === 1);
  const hookId = await served.client.workflow.hook({
    namespace: served.namespace,
    taskQueue: QUEUE,
    workflowName: "exampleHook",
    workflowId: "hooked",
    args: ["the hook"],
  });
  const result = await handle.result<Record<string, unknown>>();
  return { ...served, handle, hookId, result };
}

test("a client's hook works with the run's search data, sleeps, has children and signals the run", async () => {
  const { hookId, result } = await hooked();
  expect(hookId).toEqual(expect.any(String));
  expect(result).toMatchObject({
    setCount: 2,
    counter: 10,
    executed: "hello child executed",
    seeded: "flintstone",
    signaled: { data: "hello the hook, hello child of hook, 0.01" },
    said: "hello HookMesh",
  });
  expect(Number(result["product"])).toBeCloseTo(12, 8);
  const [jimbo, counter, multer, nothing] = result["many"] as string[];
  expect([jimbo, counter, nothing]).toEqual(["hooked", "110", ""]);
  expect(Number(multer)).toBeCloseTo(120, 8);
  expect(topics.at(-1)).toBe("1 true true");
});

test("findAllUserData gives what the run and its hook have set together", async () => {
  const { client, namespace } = await hooked();
  const engine = await client.getHotMeshClient(QUEUE, namespace);
  const data = await Search.findAllUserData("hooked", engine);
  expect(data).toMatchObject({
    custom1: "durable",
    jimbo: "hooked",
    hookOnly: "yes",
    counter: "110",
    fred: "flintstone",
    barney: "rubble",
    enriched: "field",
  });
  expect(Number(data["multer"])).toBeCloseTo(120, 8);
  expect(data).not.toHaveProperty("custom2");
});

test("queryState and the export hold the search data without a prefix, with status and state", async () => {
  const { handle, result } = await hooked();
  expect(await handle.queryState(["jimbo", "custom1"])).toEqual({ jimbo: "hooked", custom1: "durable" });
  const exported = await handle.export({ allow: ["data", "status", "state"] });
  expect(exported).toMatchObject({
    data: { jimbo: "hooked", fred: "flintstone" },
    status: 0,
    state: { data: { done: true, response: result } },
  });
});

test("the client finds the run by its search data with SQL", async () => {
  const { client, namespace } = await hooked();
  const rows = await client.workflow.search(
    QUEUE,
    "example",
    namespace,
    "sql",
    "select key, status from jobs join jobs_attributes on job_id = id where field = $1 and value = $2",
    "_jimbo",
    "hooked",
  );
  expect(rows).toEqual([{ key: "hooked", status: 0 }]);
});
