/** Starts a gateway process on a schema of the test's Postgres; it ends with the test. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { testDatabaseUrl } from "@memflow/engine/testing";
import { onTestFinished } from "vitest";
import type { GatewayProcessOptions } from "./gateway-process.ts";

/** A gateway in a process of its own. */
export interface GatewayProcess {
  readonly process: ChildProcess;
  readonly server: string;
}

/** @see GatewayProcessOptions */
export async function startGateway(options: Omit<GatewayProcessOptions, "url">): Promise<GatewayProcess> {
  const child = fork(
    join(import.meta.dirname, "gateway-process.ts"),
    [JSON.stringify({ url: testDatabaseUrl(), ...options })],
    { execArgv: ["-C", "source"] },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  const [{ port }] = (await once(child, "message")) as [{ readonly port: number }];
  return { process: child, server: `http://127.0.0.1:${port}` };
}
