/** The page of the gateway: its calls run as they stand there and answer what it says, and its tables leave nothing out. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { testDatabaseUrl } from "@memflow/engine/testing";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import { DEFAULT_LIMITS, problemSchema, PROBLEMS } from "@memflow/gateway";
import { Worker } from "@memflow/sdk";
import { expect, onTestFinished, test } from "vitest";
import { startGateway } from "./gateway/start-gateway.ts";

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = await readFile(new URL("../docs/gateway.md", import.meta.url), "utf8");

/** The blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, "gmu"))].map(
    ([, code = ""]) => code,
  );
}

/** What calls the gateway by its address. */
const CALLS = blocks("sh").filter((code) => code.includes("$GATEWAY"));

/** A gateway with the page's Workflow and a worker of it; its address. */
async function serveGreet(): Promise<string> {
  const { place } = await makeScratchStore();
  const worker = await Worker.create({
    connection: testDatabaseUrl(),
    namespace: place.schema,
    taskQueue: "greetings",
    workflow: { greet: async (name: string) => `hello ${name}` },
  });
  onTestFinished(() => worker.shutdown());
  const { server } = await startGateway({
    schema: place.schema,
    workflow: { name: "greet", taskQueue: "greetings" },
  });
  return server;
}

test("the calls of the page, one after the other, answer what it says", async () => {
  const GATEWAY = await serveGreet();
  expect(CALLS).toHaveLength(4);
  const script = CALLS.join("\necho; echo --\n");
  const env = { ...process.env, GATEWAY, TOKEN: "token" };
  const { stdout } = await run("bash", ["-e", "-c", script], { env });
  const [executed = "", result = "", followed = "", listed = ""] = stdout.split("\n--\n");

  const [shown = ""] = blocks("json");
  expect(JSON.parse(executed)).toEqual({ ...(JSON.parse(shown) as object), runId: expect.any(String) });
  expect(JSON.parse(result)).toMatchObject({ status: "completed", result: "hello again" });
  expect(followed).toContain('event: end\ndata: {"status":"completed"}');
  const { runs } = JSON.parse(listed) as { readonly runs: readonly { readonly workflow: string }[] };
  expect(runs.map(({ workflow }) => workflow)).toEqual(["greet", "greet"]);
});

test("the typed client of the page starts a run, follows it and has its result", async () => {
  const GATEWAY = await serveGreet();
  const [code = ""] = blocks("ts");
  const child = spawn(process.execPath, ["-C", "source", "--input-type=module-typescript"], {
    cwd: PROJECT,
    env: { ...process.env, GATEWAY, TOKEN: "token" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(code);
  const [output, [exitCode]] = await Promise.all([text(child.stdout), once(child, "close")]);
  expect(output).toBe("end\nhello typed\n");
  expect(exitCode).toBe(0);
});

test("every problem is in the page with its status, and its example is one", () => {
  for (const [code, { status }] of Object.entries(PROBLEMS))
    expect(PAGE).toMatch(new RegExp(`^\\| \`${code}\` +\\| ${status} `, "mu"));
  const example = blocks("json").find((block) => block.includes("memflow.io/problems/")) ?? "";
  const problem = problemSchema.parse(JSON.parse(example));
  expect(problem).toMatchObject({ status: PROBLEMS.Invalid.status, title: PROBLEMS.Invalid.title });
});

test("the limits of the page are those that hold", () => {
  const { bodyBytesMax, bodyDepthMax, requestsPerSecond, burst, waitMsMax } = DEFAULT_LIMITS;
  for (const limit of [
    `${bodyBytesMax / 2 ** 20} MiB, ${bodyDepthMax} levels`,
    `${requestsPerSecond.toLocaleString("en")} a second, ${burst.toLocaleString("en")} at once`,
    `${waitMsMax / 1_000} s`,
  ])
    expect(PAGE).toContain(`| ${limit} `);
});
