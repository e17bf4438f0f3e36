/**
 * MemFlow's static class: everything under one name, as its users know it.
 */
import { didInterrupt } from "@memflow/engine";
import { clearActivityInterceptors, registerActivityInterceptor } from "./activity-interceptors.ts";
import { registerActivityWorker } from "./activity-worker.ts";
import { Client } from "./client.ts";
import { Connection } from "./connection.ts";
import { guid } from "./guid.ts";
import { WorkflowHandle } from "./handle.ts";
import { clearInterceptors, registerInterceptor } from "./interceptors.ts";
import { replayWorkflow } from "./replay.ts";
import { closeSharedClients } from "./shared-clients.ts";
import { Entity, Search, WorkflowService } from "./workflow/index.ts";
import { Worker } from "./worker.ts";

// oxlint-disable-next-line typescript/no-extraneous-class -- users know this name as a class with static members
export class MemFlow {
  static readonly Client: typeof Client = Client;
  static readonly Connection: typeof Connection = Connection;
  static readonly Handle: typeof WorkflowHandle = WorkflowHandle;
  static readonly Worker: typeof Worker = Worker;
  static readonly Entity: typeof Entity = Entity;
  static readonly Search: typeof Search = Search;
  static readonly workflow: typeof WorkflowService = WorkflowService;
  static readonly didInterrupt: typeof didInterrupt = didInterrupt;
  static readonly registerInterceptor: typeof registerInterceptor = registerInterceptor;
  static readonly clearInterceptors: typeof clearInterceptors = clearInterceptors;
  static readonly registerActivityInterceptor: typeof registerActivityInterceptor =
    registerActivityInterceptor;
  static readonly clearActivityInterceptors: typeof clearActivityInterceptors = clearActivityInterceptors;
  static readonly registerActivityWorker: typeof registerActivityWorker = registerActivityWorker;
  static readonly guid: typeof guid = guid;
  static readonly replay: typeof replayWorkflow = replayWorkflow;

  /** Stops every worker, hands their runs over, closes every connection. Idempotent; the process can end then. */
  static async shutdown(options: { readonly graceMs?: number } = {}): Promise<void> {
    await Worker.shutdown(options);
    await closeSharedClients();
  }
}
