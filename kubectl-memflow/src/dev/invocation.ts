/**
 * How the command was called, in words that a person can type again.
 *
 * Pure. Knows npm's own calls: what `npm start` ran is shown as `npm start`, with the arguments that were added.
 */
import type { Invocation } from "./dev-screen.ts";

/** Not part of resuming: it would forget what is to be resumed. */
const NEVER_REPEATED = "--fresh";
/** What a suggestion replaces, each with its value. */
const REPLACED_OPTIONS = ["--input", "--corpus", "--workflow"];

/**
 * Describes the call.
 *
 * @param args - The arguments after the program.
 * @param environment - Where npm says which script it runs.
 */
export function describeInvocation(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Invocation {
  const script = environment["npm_lifecycle_event"];
  const scriptText = environment["npm_lifecycle_script"] ?? "";
  const givenByScript = countTail(scriptText.split(/\s+/u), args);
  if (script === undefined || givenByScript === 0) {
    const repeated = ["memflow", ...args.filter((arg) => arg !== NEVER_REPEATED)];
    const bare = repeated.filter((arg, index) => !isReplaced(arg) && !isReplaced(repeated[index - 1]));
    return { command: repeated.map(quote).join(" "), commandWithOptions: `${bare.map(quote).join(" ")} ` };
  }
  const call = script === "start" ? "npm start" : `npm run ${script}`;
  const added = args.slice(givenByScript).filter((arg) => arg !== NEVER_REPEATED);
  return {
    command: added.length === 0 ? call : `${call} -- ${added.map(quote).join(" ")}`,
    commandWithOptions: `${call} -- `,
  };
}

function isReplaced(arg: string | undefined): boolean {
  return arg !== undefined && REPLACED_OPTIONS.includes(arg);
}

/** How many of the arguments, from the first, stand in the script itself. */
function countTail(script: readonly string[], args: readonly string[]): number {
  const start = script.findIndex((word, index) => word === args[0] && index > 0);
  if (start === -1) return 0;
  let count = 0;
  while (count < args.length && script[start + count] === args[count]) count += 1;
  return count;
}

function quote(arg: string): string {
  return /^[\w./:=@-]+$/u.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`;
}
