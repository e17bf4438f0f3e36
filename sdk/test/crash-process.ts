/**
 * A worker process that serves one case of the samples and kills itself at a named crash point.
 *
 * Its argument is the JSON of `CrashProcessOptions`; it sends `{ ready: true }` once it serves. Nothing of it survives: no
 * handler runs, no socket is closed in order, and the database learns of its death by its silence.
 */
import { EngineWorker, resolveConnection, setCrashHook } from "@memflow/engine";
import type { CrashPoint } from "@memflow/engine";
import { registerInterceptor } from "@memflow/sdk";
import { TUNING, serve } from "./crash-cases.ts";
import { audit } from "./sample-workflows.ts";

/** What the process is told. */
export interface CrashProcessOptions {
  readonly url: string;
  readonly namespace: string;
  readonly caseName: string;
  readonly point: CrashPoint;
  /** At the n-th time that it passes the point, counted from 1. */
  readonly occurrence: number;
}

const given = JSON.parse(process.argv[2] ?? "{}") as CrashProcessOptions;
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
registerInterceptor(audit);
let passed = 0;
setCrashHook((point) => {
  if (point !== given.point) return;
  passed += 1;
  if (passed === given.occurrence) process.kill(process.pid, "SIGKILL");
});
const worker = await EngineWorker.start({
  ...TUNING,
  heartbeat: "thread",
  beatMs: 300,
  deadAfterMs: 1_500,
  source: resolveConnection(given.url),
  schema: given.namespace,
});
await serve(worker, given.caseName);
process.send?.({ ready: true });
