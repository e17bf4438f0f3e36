/**
 * The audit interceptor: runs around every workflow and hook of a worker, as durable code.
 *
 * Registered when this module is imported; a worker imports it before the workflows. Each start and end is appended to the
 * run's entity: the log survives with the run, and a replay writes nothing twice. `new Date()` is the run's own time here,
 * the same on every replay.
 */
import { MemFlow } from "@memflow/sdk";
import type { AuditEntry } from "./research/report.ts";

MemFlow.registerInterceptor({
  async execute(context, next) {
    const entity = await MemFlow.workflow.entity();
    const log = async (action: AuditEntry["action"]): Promise<void> => {
      const workflow = String(context.get("workflowName"));
      await entity.append("auditLog", { action, workflow, timestamp: new Date().toISOString() });
    };
    try {
      await log("started");
      // A rate limit that survives a crash: the timer is a row, no sleeping process.
      await MemFlow.workflow.sleepFor("100 milliseconds");
      const result = await next();
      await log("completed");
      return result;
    } catch (error) {
      // The engine's own control errors are not ours to log.
      if (MemFlow.didInterrupt(error)) throw error;
      await log("failed");
      throw error;
    }
  },
});
