/**
 * What workflow and hook functions call: `MemFlow.workflow`.
 */
import { didInterrupt } from "@memflow/engine";
import { execChild, execHook, execHookBatch, hook, startChild } from "./children.ts";
import { Entity, entity } from "./entity.ts";
import { all } from "./all.ts";
import { didRun, emit, interrupt, isSideEffectAllowed, trace } from "./effects.ts";
import { random, uuid4, workflowInfo } from "./info.ts";
import { proxyActivities } from "./proxy-activities.ts";
import { Search, enrich, search } from "./search.ts";
import { condition, signal, waitFor } from "./signals.ts";
import { sleepFor } from "./sleep.ts";

export { Entity, Search };
export type { ExecHookOptions, HookBatchMember, HookOptions } from "./children.ts";
export type { EffectConfig, TraceAttributes } from "./effects.ts";
export type { WorkflowInfo } from "./info.ts";
export type { ActivityConfig, ProxyType } from "./proxy-activities.ts";

/** The durable calls. Each is recorded once; on replay it is answered from history. */
// oxlint-disable-next-line typescript/no-extraneous-class -- users know this name as a class with static members
export class WorkflowService {
  static readonly proxyActivities: typeof proxyActivities = proxyActivities;
  static readonly sleepFor: typeof sleepFor = sleepFor;
  static readonly sleep: typeof sleepFor = sleepFor;
  static readonly waitFor: typeof waitFor = waitFor;
  static readonly condition: typeof condition = condition;
  static readonly signal: typeof signal = signal;
  static readonly execChild: typeof execChild = execChild;
  static readonly executeChild: typeof execChild = execChild;
  static readonly startChild: typeof startChild = startChild;
  static readonly execHook: typeof execHook = execHook;
  static readonly execHookBatch: typeof execHookBatch = execHookBatch;
  static readonly hook: typeof hook = hook;
  static readonly entity: typeof entity = entity;
  static readonly emit: typeof emit = emit;
  static readonly trace: typeof trace = trace;
  static readonly interrupt: typeof interrupt = interrupt;
  static readonly isSideEffectAllowed: typeof isSideEffectAllowed = isSideEffectAllowed;
  static readonly didRun: typeof didRun = didRun;
  static readonly all: typeof all = all;
  static readonly search: typeof search = search;
  static readonly enrich: typeof enrich = enrich;
  static readonly random: typeof random = random;
  static readonly uuid4: typeof uuid4 = uuid4;
  static readonly workflowInfo: typeof workflowInfo = workflowInfo;
  static readonly getContext: typeof workflowInfo = workflowInfo;
  static readonly didInterrupt: typeof didInterrupt = didInterrupt;
}
