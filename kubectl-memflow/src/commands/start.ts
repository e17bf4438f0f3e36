/** `start` and `execute`. */
import { randomUUID } from "node:crypto";
import type { StartedRun, StartRequest } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { awaitRun, printResult } from "./await-run.ts";
import { readPairs } from "./durations.ts";
import { readJson } from "./json-input.ts";

/** The command line of `start`. */
export interface StartOptions {
  readonly workflow: string;
  readonly input?: string;
  readonly args?: string;
  readonly id?: string;
  readonly taskQueue?: string;
  readonly entity?: string;
  readonly search?: readonly string[];
  readonly startDelay?: string;
  readonly retention?: string;
  readonly build?: string;
  readonly idempotencyKey?: string;
}

/** The command line of `execute`. */
export interface ExecuteOptions extends StartOptions {
  readonly quiet?: boolean;
  readonly timeout?: string;
}

/** Starts a run. */
export async function start(session: CommandSession, options: StartOptions): Promise<number> {
  const { run, isNew } = await startRun(session, options);
  const { printer } = session;
  if (printer.form.kind === "table" || printer.form.kind === "wide") {
    printer.line(`run/${run.runId} ${isNew ? "started" : "was started before"}`);
  } else if (printer.form.kind === "name") {
    printer.line(`run/${run.runId}`);
  } else {
    await printer.value(run);
  }
  return EXIT_CODES.done;
}

/** Starts a run and waits for it. */
export async function execute(session: CommandSession, options: ExecuteOptions): Promise<number> {
  const { run, isNew } = await startRun(session, options);
  const { client, namespace, store } = await session.connect();
  const { runId, workflow } = run;
  if (options.quiet !== true) {
    session.say(
      `run/${runId} ${isNew ? "started" : "was started before"} (${workflow}, id ${run.workflowId})`,
    );
  }
  const { startedAt } = (await client.call("getRun", { path: { namespace, runId }, query: { store } })).body;
  const result = await awaitRun(session, {
    runId,
    workflow,
    startedAtMs: Date.parse(startedAt),
    showsProgress: options.quiet !== true,
    timeout: options.timeout,
  });
  return printResult(session, result);
}

async function startRun(
  session: CommandSession,
  options: StartOptions,
): Promise<{ readonly run: StartedRun; readonly isNew: boolean }> {
  const body = await readRequest(session, options);
  const { client, namespace, store } = await session.connect();
  const { status, body: run } = await client.call("startRun", {
    path: { namespace },
    query: { store },
    header: { "Idempotency-Key": options.idempotencyKey ?? randomUUID() },
    body,
  });
  return { run, isNew: status === 201 };
}

async function readRequest({ io }: CommandSession, options: StartOptions): Promise<StartRequest> {
  if (options.input !== undefined && options.args !== undefined) {
    throw new CommandError(EXIT_CODES.usage, "--input and --args exclude each other");
  }
  const args = options.args === undefined ? undefined : await readJson(options.args, "--args", io);
  if (args !== undefined && !Array.isArray(args)) {
    throw new CommandError(EXIT_CODES.usage, "--args must be a JSON array; one argument goes with --input");
  }
  return {
    workflow: options.workflow,
    ...(options.input === undefined ? {} : { input: await readJson(options.input, "--input", io) }),
    ...(args === undefined ? {} : { args }),
    workflowId: options.id,
    taskQueue: options.taskQueue,
    entity: options.entity,
    search: options.search === undefined ? undefined : readPairs(options.search, "--search"),
    startDelay: options.startDelay,
    retention: options.retention,
    buildId: options.build,
  };
}
