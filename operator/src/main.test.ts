/** The process as a cluster runs it. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { OPERATOR_EXIT_CODES } from "./exit-codes.ts";
import { LEASES } from "./kube/index.ts";
import { Bell } from "./testing/bell.ts";
import type { MockApiServer } from "./testing/mock-api/mock-api-server.ts";
import { startOperatorCluster } from "./testing/operator-cluster.ts";

const MAIN = new URL("main.ts", import.meta.url).pathname;
const LEASE = { namespace: "memflow", name: "memflow-operator" } as const;

type Entry = Readonly<Record<string, unknown>>;

class ProcessUnderTest {
  readonly child: ChildProcess;
  readonly entries: Entry[] = [];
  readonly #bell = new Bell();
  readonly #ended: Promise<unknown[]>;

  constructor(environment: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, ["-C", "source", MAIN], {
      env: { PATH: process.env["PATH"] ?? "", ...environment },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#ended = once(this.child, "close");
    createInterface({ input: this.child.stdout ?? process.stdin }).on("line", (line) => {
      this.entries.push(JSON.parse(line) as Entry);
      this.#bell.ring();
    });
    onTestFinished(() => void this.child.kill("SIGKILL"));
  }

  async entry(message: string): Promise<Entry> {
    const find = (): Entry | undefined => this.entries.find((entry) => entry["message"] === message);
    await this.#bell.until(() => find() !== undefined);
    return find() ?? {};
  }

  /** The exit code, or the signal that ended it. */
  async end(): Promise<unknown> {
    const [code, signal] = await this.#ended;
    return code ?? signal;
  }
}

async function setup(environment: Readonly<Record<string, string>> = {}): Promise<{
  readonly api: MockApiServer;
  readonly start: (more?: Readonly<Record<string, string>>) => ProcessUnderTest;
}> {
  const api = await startOperatorCluster();
  const folder = await mkdtemp(path.join(tmpdir(), "memflow-operator-"));
  onTestFinished(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });
  const kubeConfig = path.join(folder, "kubeconfig");
  await writeFile(kubeConfig, api.kubeConfig().exportConfig());
  const start = (more: Readonly<Record<string, string>> = {}): ProcessUnderTest =>
    new ProcessUnderTest({
      KUBECONFIG: kubeConfig,
      MEMFLOW_OPERATOR_NAMESPACE: "memflow",
      MEMFLOW_OPERATOR_HOST: "127.0.0.1",
      MEMFLOW_OPERATOR_PORT: "0",
      ...environment,
      ...more,
    });
  return { api, start };
}

test("SIGTERM gives the lease back and ends it with code 0", async () => {
  const { api, start } = await setup();
  const operator = start();
  await operator.entry("leading");
  expect(api.cluster.find(LEASES, LEASE)?.spec?.holderIdentity).toMatch(/_/u);
  operator.child.kill("SIGTERM");
  expect(await operator.end()).toBe(OPERATOR_EXIT_CODES.stopped);
  expect(operator.entries.at(-1)).toMatchObject({ message: "ended in order", error: "received SIGTERM" });
  expect(api.cluster.find(LEASES, LEASE)?.spec?.holderIdentity ?? "").toBe("");
});

test("a bad environment is one last line that names every variable, with code 2", async () => {
  const { start } = await setup();
  const operator = start({ MEMFLOW_OPERATOR_NAMESPACE: "", MEMFLOW_OPERATOR_LOG_LEVEL: "loud" });
  expect(await operator.end()).toBe(OPERATOR_EXIT_CODES.refused);
  expect(operator.entries).toMatchObject([{ level: "error", code: "BAD_CONFIG" }]);
  expect(operator.entries[0]?.["error"]).toMatch(/MEMFLOW_OPERATOR_NAMESPACE.*MEMFLOW_OPERATOR_LOG_LEVEL/u);
});

test("a kubeconfig that is not there is named, with code 2", async () => {
  const { start } = await setup();
  const operator = start({ KUBECONFIG: "/nowhere/kubeconfig" });
  expect(await operator.end()).toBe(OPERATOR_EXIT_CODES.refused);
  expect(operator.entries.at(-1)).toMatchObject({ code: "BAD_KUBECONFIG" });
  expect(operator.entries.at(-1)?.["error"]).toContain("/nowhere/kubeconfig");
});

test("while there is no API server it waits, and ends in order when it is asked to", async () => {
  const { api, start } = await setup();
  api.faults.inject({ kind: "silence" });
  const operator = start();
  const { health } = await operator.entry("listening");
  const ready = await fetch(`http://127.0.0.1:${String(health)}/readyz`);
  expect([ready.status, await ready.text()]).toEqual([503, "waits for the definitions of our kinds\n"]);
  operator.child.kill("SIGTERM");
  expect(await operator.end()).toBe(OPERATOR_EXIT_CODES.stopped);
});
