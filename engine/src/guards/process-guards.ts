/**
 * No user code ends the process that it shares with other runs.
 *
 * Inside a workflow or activity every way out throws a `ProcessExitError`. A workflow may not send signals at all. Does
 * not cover `process.exitCode`, native code, and a signal handler that was installed outside and ends the process.
 */
import { ProcessExitError } from "../core/errors.ts";
import { refuseInRuns, refuseInUserCode } from "./function-replacement.ts";

/** Refuses the ends of the process inside user code. */
export function guardProcessExit(): void {
  const makeError = (name: string): Error => new ProcessExitError({ call: `process.${name}` });
  refuseInRuns({ owner: process, ownerName: "process", names: ["kill", "_kill"], isHarmless: isAimedAtUs });
  refuseInUserCode(process, ["exit", "reallyExit", "abort", "execve"], makeError);
  refuseInUserCode(process, ["kill", "_kill"], (name, values) => {
    return isAimedAtUs(values) && !isExistenceCheck(values) ? makeError(name) : undefined;
  });
}

/** Zero and minus one name groups of processes that we are in, as does the negative of our own id. */
function isAimedAtUs([pid]: readonly unknown[]): boolean {
  return [process.pid, -process.pid, 0, -1].includes(Number(pid));
}

function isExistenceCheck([, signal]: readonly unknown[]): boolean {
  return signal === 0;
}
