/**
 * Completes a command line: `__complete`, which shells and kubectl call with the words so far, the last one being typed.
 *
 * Prints a candidate a line, with a tab before its description, then `:4`: offer no files. Names of runs, Workflows, queues and
 * Schedules are asked of the gateway, for two seconds at most; when it does not answer there are none, and no error.
 *
 * @see https://kubernetes.io/docs/reference/kubectl/ (plugins: `kubectl_complete-<name>`)
 */
import type { Command } from "commander";
import type { CliIo } from "../cli/cli-io.ts";
import { CommandSession } from "../cli/command-session.ts";
import type { GlobalOptions } from "../cli/global-options.ts";
import { EXIT_CODES } from "../exit-codes.ts";

const PATIENCE_MS = 2_000;
const RUNS_MAX = 50;
const NO_FILES = ":4";
const FILES_TOO = ":0";
/** After these a file is wanted. */
const FILE_OPTIONS = [
  "-f",
  "--file",
  "--kubeconfig",
  "--token-file",
  "--certificate-authority",
  "--client-certificate",
  "--client-key",
];

interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** Prints the candidates. */
export async function complete(io: CliIo, program: Command, words: readonly string[]): Promise<number> {
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  if (FILE_OPTIONS.includes(before.at(-1) ?? "")) {
    io.stdout.write(`${FILES_TOO}\n`);
    return EXIT_CODES.done;
  }
  const { command, values } = walk(program, before);
  const candidates = typed.startsWith("-")
    ? optionsOf(program, command)
    : [...subcommandsOf(command), ...(await valuesOf({ io, program, command, before, values }))];
  for (const { word, description } of candidates) {
    if (word.startsWith(typed)) io.stdout.write(`${word}\t${description}\n`);
  }
  io.stdout.write(`${NO_FILES}\n`);
  return EXIT_CODES.done;
}

/** The command that the words lead to, and its arguments so far. */
function walk(
  program: Command,
  words: readonly string[],
): { readonly command: Command; readonly values: readonly string[] } {
  let command = program;
  const values: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (word.startsWith("-")) {
      const option = [...command.options, ...program.options].find(
        ({ short, long }) => word === short || word === long,
      );
      if (option?.required === true && !word.includes("=")) index += 1;
      continue;
    }
    const inner = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (inner === undefined) values.push(word);
    else command = inner;
  }
  return { command, values };
}

function subcommandsOf(command: Command): readonly Candidate[] {
  return command.commands.map((one) => ({ word: one.name(), description: one.description() }));
}

function optionsOf(program: Command, command: Command): readonly Candidate[] {
  return [...new Set([...command.options, ...program.options])].map(({ long, short, description }) => ({
    word: long ?? short ?? "",
    description,
  }));
}

/** What the first argument may be. */
async function valuesOf(place: {
  readonly io: CliIo;
  readonly program: Command;
  readonly command: Command;
  readonly before: readonly string[];
  readonly values: readonly string[];
}): Promise<readonly Candidate[]> {
  const { io, program, command, before, values } = place;
  const wanted = wantedNames(command);
  if (wanted === undefined || (values.length > 0 && command.registeredArguments[0]?.variadic !== true))
    return [];
  program.parseOptions(before.filter((word) => word !== command.name()));
  const session = new CommandSession(silenced(io), program.opts<GlobalOptions>());
  try {
    const asked = askNames(session, wanted);
    asked.catch(() => undefined);
    return await Promise.race([asked, nothingAfter(PATIENCE_MS)]);
  } catch {
    // Whatever keeps the names away, the person is typing: there is nothing to say and no place to say it.
    return [];
  } finally {
    await session.close();
  }
}

type Wanted = "runs" | "workflows" | "queues" | "schedules";

function wantedNames(command: Command): Wanted | undefined {
  const [argument] = command.registeredArguments;
  const name = command.name();
  if (argument?.name() === "run") return "runs";
  if (argument?.name() === "workflow" || name === "workflows") return "workflows";
  if (name === "queues") return "queues";
  if (name === "schedules" || command.parent?.name() === "schedules") return "schedules";
  return undefined;
}

async function askNames(session: CommandSession, wanted: Wanted): Promise<readonly Candidate[]> {
  const { client, namespace, store } = await session.connect();
  const place = { path: { namespace }, query: { store } };
  if (wanted === "runs") {
    const { body } = await client.call("listRuns", { ...place, query: { store, pageSize: RUNS_MAX } });
    return body.runs.map(({ runId, workflow, workflowId, status }) => ({
      word: runId,
      description: `${workflow} ${workflowId} ${status}`,
    }));
  }
  if (wanted === "workflows") {
    const { body } = await client.call("listWorkflows", place);
    return body.workflows.map(({ name, workflow }) => ({ word: name, description: workflow }));
  }
  if (wanted === "queues") {
    const { body } = await client.call("listQueues", place);
    return body.queues.map(({ name, taskQueue }) => ({ word: name ?? taskQueue, description: taskQueue }));
  }
  const { body } = await client.call("listSchedules", place);
  return body.schedules.map(({ name, workflow }) => ({ word: name, description: workflow }));
}

function silenced(io: CliIo): CliIo {
  return { ...io, stderr: { write: () => undefined } };
}

function nothingAfter(ms: number): Promise<readonly Candidate[]> {
  return new Promise((resolve) => {
    setTimeout(() => resolve([]), ms).unref();
  });
}
