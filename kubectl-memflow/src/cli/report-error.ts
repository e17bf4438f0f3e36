/**
 * Says what failed, why, and which command helps; and which exit code that is.
 *
 * Known failures are one message; what nobody foresaw keeps its stack. Kept free of imports that take time: errors of other
 * packages are known by their codes.
 */
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import type { CliIo } from "./cli-io.ts";

interface Told {
  readonly exitCode: number;
  readonly message: string;
}

/** Codes of problems that are the caller's words. */
const USAGE_PROBLEMS = ["Invalid", "NotJson", "TooDeep", "BadPageToken", "TooLarge", "TooExpensive"];
const NEXT_COMMANDS: Readonly<Record<string, string>> = {
  RunNotFound: "list",
  WorkflowNotFound: "workflows",
  QueueNotFound: "queues",
  ScheduleNotFound: "schedules",
  Forbidden: "whoami",
  Unauthenticated: "whoami",
};

/** Prints an error; the exit code. */
export function reportError(error: unknown, io: CliIo): number {
  const known = describe(error, io);
  if (known === undefined) {
    io.stderr.write(
      `${io.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return EXIT_CODES.failure;
  }
  io.stderr.write(`${io.name}: ${known.message}\n`);
  return known.exitCode;
}

function describe(error: unknown, io: CliIo): Told | undefined {
  if (error instanceof CommandError) return error;
  if (!(error instanceof Error)) return undefined;
  // What fetch throws: the cause says why.
  if (error.name === "TypeError" && error.message === "fetch failed") {
    return describe(error.cause, io) ?? unreachable(error.cause);
  }
  if (error.name === "GatewayProblem") return describeProblem(error as unknown as ProblemError, io);
  const { code } = error as { readonly code?: unknown };
  if (typeof code === "string" && code.startsWith("KUBE_")) return describeKubernetes(error, code);
  return undefined;
}

/** As much of a GatewayProblem as is told. */
interface ProblemError {
  readonly code: string;
  readonly status: number;
  readonly problem: {
    readonly detail: string;
    readonly errors?: readonly { readonly path: string; readonly message: string }[] | undefined;
    readonly remedy?: string | undefined;
    readonly runId?: string | undefined;
    readonly stores?: readonly string[] | undefined;
  };
}

function describeProblem({ code, status, problem }: ProblemError, io: CliIo): Told {
  const lines = [problem.detail];
  const { errors = [] } = problem;
  // The detail is the first of them.
  if (errors.length > 1) for (const { path, message } of errors) lines.push(`  ${path}: ${message}`);
  if (problem.remedy !== undefined) lines.push(problem.remedy);
  const next =
    code === "WorkflowAlreadyOpen" && problem.runId !== undefined
      ? `describe ${problem.runId}`
      : NEXT_COMMANDS[code];
  if (next !== undefined) lines.push(`next: ${io.name} ${next}`);
  if (code === "StoreAmbiguous") lines.push("next: say --store and one of them");
  return { exitCode: problemExitCode(code, status), message: lines.join("\n") };
}

function problemExitCode(code: string, status: number): number {
  if (status === 401 || status === 403) return EXIT_CODES.forbidden;
  if (status === 404) return EXIT_CODES.notFound;
  return USAGE_PROBLEMS.includes(code) ? EXIT_CODES.usage : EXIT_CODES.failure;
}

function describeKubernetes({ message }: Error, code: string): Told {
  if (code === "KUBE_FORBIDDEN" || code === "KUBE_UNAUTHORIZED" || code === "KUBE_CREDENTIALS") {
    return { exitCode: EXIT_CODES.forbidden, message: `${message}\nnext: kubectl auth whoami` };
  }
  const exitCode = code === "KUBE_NOT_FOUND" ? EXIT_CODES.notFound : EXIT_CODES.failure;
  return { exitCode, message: `${message}\nnext: kubectl cluster-info` };
}

function unreachable(cause: unknown): Told {
  const reason =
    cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : String(cause);
  return {
    exitCode: EXIT_CODES.failure,
    message: `the gateway can't be reached: ${reason}\nnext: check --server, or that the gateway runs`,
  };
}
