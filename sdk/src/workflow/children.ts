/**
 * Children and hooks: other runs that this run starts.
 */
import { CrossStoreError, MemFlowError, OptionError } from "@memflow/engine";
import type { RunContext } from "@memflow/engine";
import { checkName, checkStart, refuseClientOptions } from "../options.ts";
import type { WorkflowOptions } from "../options.ts";
import { runOptionsOf, traceOf } from "../run-options.ts";
import { runOf } from "./in-run.ts";
import { issueSearchChange } from "./search.ts";

/** How a hook is started: a function that runs inside this run's memory. */
export interface HookOptions extends WorkflowOptions {
  /** The run in whose memory the hook runs (default: this one; a client must name it). `execHook` takes this run's alone. */
  readonly workflowId?: string | undefined;
}

/** How a hook is started and waited for. */
export interface ExecHookOptions extends HookOptions {
  /** The signal by which the hook answers (default: an id of its own). */
  readonly signalId?: string | undefined;
}

/**
 * Starts a child workflow and waits for its result; on replay the recorded result.
 *
 * @param options - Queue, name and arguments; the queue is this run's by default.
 * @returns The child's result.
 * @throws {DuplicateJobError} When an open run has the given workflow id. What the child throws, when it fails.
 *
 * @example
 * const report = await MemFlow.workflow.execChild<string>({
 *   taskQueue: 'analysis', workflowName: 'detailedAnalysis', args: [{ depth: 2 }],
 * });
 */
export function execChild<Result>(options: WorkflowOptions): Promise<Result> {
  const context = runOf("execChild");
  const start = toStart(context, "child", options);
  const failureIsResult = options.config?.throwOnError === false;
  return context.issue({ kind: "child", name: start.workflowName, failureIsResult }, (position) => ({
    ...start,
    position,
    awaited: true,
  }));
}

/**
 * Starts a child workflow and goes on once its start is recorded, once, however often the code is replayed. The child
 * outlives this run.
 *
 * @param options - Queue, name and arguments; the queue is this run's by default, and `expire` what this run was given.
 * @returns The child's workflow id.
 * @throws {DuplicateJobError} When an open run has the given workflow id.
 *
 * @example
 * const childId = await MemFlow.workflow.startChild({
 *   taskQueue: 'notifications', workflowName: 'sendUpdates', args: [['a', 'b']],
 * });
 */
export function startChild(options: WorkflowOptions): Promise<string> {
  const context = runOf("startChild");
  const start = toStart(context, "child", options);
  return context.issue(
    { kind: "child", name: start.workflowName, detached: true, startedId: start.workflowId },
    (position) => ({ ...start, position, awaited: false }),
  );
}

/**
 * Starts a hook: a function with its own history that shares the entity of this run, or of the one that `workflowId`
 * names, and sends its signals there. Goes on once its start is recorded, once, however often the code is replayed.
 *
 * @param options - Queue, name and arguments of the function; `workflowId` of another run.
 * @returns The hook's id.
 * @throws {MemFlowError} `HOOK_LOOP` ("potential infinite loop"), when it would start its own function in its own run
 *   because neither queue nor entity is given; {RunClosedError} and {WorkflowNotFoundError} when the other run is not open.
 *
 * @example
 * await MemFlow.workflow.hook({
 *   taskQueue: 'research', workflowName: 'note', args: ['seen'], workflowId: 'another-run',
 * });
 */
export async function hook(options: HookOptions): Promise<string> {
  const context = runOf("hook");
  refuseLoop(context, options);
  const { search, ...start } = toStart(context, "hook", options);
  return await withSearch(context, search, () =>
    context.issue<string>(
      { kind: "hook", name: start.workflowName, detached: true, startedId: start.workflowId },
      (position) => ({ ...start, entityType: null, search: null, position, awaited: false }),
    ),
  );
}

/**
 * Starts a hook and waits for the signal by which it answers. `{ signal, $memflow: true }` is appended to its arguments;
 * the hook sends `MemFlow.workflow.signal(reply.signal, data)`. A hook that ends without the signal answers with what it
 * returns, one that fails rejects. The payload is left for one later `waitFor` of the same id.
 *
 * @param options - As for `hook`, and the signal's id.
 * @returns The signal's data.
 *
 * @example
 * const view = await MemFlow.workflow.execHook<string>({
 *   taskQueue: 'research', workflowName: 'optimisticView', args: ['query'], signalId: 'optimistic-complete',
 * });
 */
export async function execHook<Result>(options: ExecHookOptions): Promise<Result> {
  const context = runOf("execHook");
  refuseLoop(context, options);
  if (isElsewhere(context, options)) {
    throw new OptionError({
      field: "workflowId",
      value: options.workflowId,
      remedy: "leave it out: execHook waits for a hook of its own run; hook() starts one in another",
    });
  }
  const signalId =
    options.signalId === undefined ? `hook-${context.uuid()}` : checkName("signalId", options.signalId);
  const args = [...(options.args ?? []), { signal: signalId, $memflow: true }];
  const { search, ...start } = toStart(context, "hook", options, args);
  const failureIsResult = options.config?.throwOnError === false;
  const call = { kind: "hook", name: start.workflowName, signalId, failureIsResult } as const;
  return await withSearch(context, search, () =>
    context.issue<Result>(call, (position) => {
      context.signals.expectHook(signalId, { position, hookRunId: start.runId });
      context.command({ kind: "wait", position, signalId });
      return { ...start, entityType: null, search: null, position, awaited: true };
    }),
  );
}

/** A hook shares its run's search data: what it begins with is a change that comes before it. */
async function withSearch<Result>(
  context: RunContext,
  search: string | null,
  start: () => Promise<Result>,
): Promise<Result> {
  if (search === null) return await start();
  const fields = JSON.parse(search) as Readonly<Record<string, string>>;
  const [, result] = await Promise.all([issueSearchChange(context, { op: "search.set", fields }), start()]);
  return result;
}

/** One hook of a batch: its result is known by `key`. */
export interface HookBatchMember {
  readonly key: string;
  readonly options: ExecHookOptions;
}

/**
 * Starts hooks at once and waits for all of them, each as `execHook` does.
 *
 * @param members - A key for each result, and the options of its hook.
 * @returns The answers by key.
 * @throws {OptionError} When two keys are equal. What the first hook throws that fails; the others go on.
 *
 * @example
 * const { optimist, skeptic } = await MemFlow.workflow.execHookBatch<{ optimist: string; skeptic: string }>([
 *   { key: 'optimist', options: { taskQueue: 'research', workflowName: 'optimisticView', args: ['query'] } },
 *   { key: 'skeptic', options: { taskQueue: 'research', workflowName: 'skepticalView', args: ['query'] } },
 * ]);
 */
export async function execHookBatch<Results>(members: readonly HookBatchMember[]): Promise<Results> {
  const keys = checkKeys(members);
  const answers = await Promise.all(members.map(async ({ options }) => await execHook<unknown>(options)));
  return Object.fromEntries(keys.map((key, index) => [key, answers[index]])) as Results;
}

function checkKeys(members: readonly HookBatchMember[]): readonly string[] {
  if (!Array.isArray(members)) {
    throw new OptionError({
      field: "members",
      value: members,
      remedy: "give an array of { key, options }",
    });
  }
  const keys = new Set<string>();
  for (const { key } of members) {
    if (keys.has(checkName("key", key)))
      throw new OptionError({
        field: "key",
        value: key,
        remedy: "give each hook of a batch a key of its own",
      });
    keys.add(key);
  }
  return [...keys];
}

function toStart(
  context: RunContext,
  kind: "child" | "hook",
  options: WorkflowOptions,
  args?: readonly unknown[],
) {
  const { namespace, taskQueue } = context.facts;
  if (options.namespace !== undefined && options.namespace !== namespace) {
    throw new CrossStoreError({ field: "namespace", store: namespace, otherStore: options.namespace });
  }
  const into =
    kind === "hook" && isElsewhere(context, options) ? checkName("workflowId", options.workflowId) : null;
  if (into !== null && options.search !== undefined) {
    throw new OptionError({
      field: "search",
      value: options.search,
      remedy: "leave it out: a hook in another run sets that run's search data itself",
    });
  }
  refuseClientOptions(options, kind);
  const inherited = runOptionsOf(context.facts);
  const jobId = into ?? inherited.jobId ?? context.facts.workflowId;
  const checked = checkStart(options, {
    taskQueue,
    args,
    expire: inherited.expire,
    originJobId: inherited.originJobId ?? jobId,
    ...(kind === "hook" ? { jobId } : {}),
    ...traceOf(context.facts),
  });
  const runId = context.uuid();
  const workflowId =
    kind === "child" && options.workflowId !== undefined
      ? checkName("workflowId", options.workflowId)
      : `${context.facts.workflowId}-${checked.workflowName}-${runId}`;
  return {
    kind,
    runId,
    workflowId: checkName(
      "workflowId",
      workflowId.length > 400 ? `${checked.workflowName}-${runId}` : workflowId,
    ),
    workflowName: checked.workflowName,
    taskQueue: checked.taskQueue,
    args: checked.input,
    options: checked.options,
    retentionSeconds: checked.retentionSeconds,
    delayMs: checked.delayMs,
    entityType: checked.entityType,
    search: checked.search,
    into,
  } as const;
}

/** Whether the options name another run than this one; a hook's own run is also the one that it runs in. */
function isElsewhere({ facts }: RunContext, { workflowId }: HookOptions): boolean {
  return (
    workflowId !== undefined && workflowId !== facts.workflowId && workflowId !== runOptionsOf(facts).jobId
  );
}

function refuseLoop(context: RunContext, options: HookOptions): void {
  if (isElsewhere(context, options)) return;
  if (options.taskQueue !== undefined || options.entity !== undefined) return;
  if (options.workflowName !== undefined && options.workflowName !== context.facts.workflowName) return;
  throw new MemFlowError(
    `potential infinite loop: a hook of "${context.facts.workflowName}" would start "${context.facts.workflowName}" again; ` +
      "give the taskQueue, or the workflowName of another function",
    { name: "HookLoopError", code: "HOOK_LOOP" },
  );
}
