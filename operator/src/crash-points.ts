/**
 * Places where the process may die with the most to lose, for tests: the first of those named that it comes to kills it, at once.
 *
 * Before and after each write to the API server there is one (`queues.apply.deployments.before`), besides those that
 * controllers name around their writes to databases. `record` kills nothing and logs each place the first time it is passed, so
 * that a test learns of all there are.
 */
import type { Log } from "./kube/index.ts";

/** Passed with the name of the place. */
export type CrashPoint = (place: string) => void;

const RECORD = "record";

/**
 * @param crashAt - Places, with commas between, `record`, or undefined in production.
 * @param kill - Default: SIGKILL, which nothing can catch or tidy up after.
 */
export function makeCrashPoint(
  crashAt: string | undefined,
  log: Log,
  kill: () => void = () => process.kill(process.pid, "SIGKILL"),
): CrashPoint {
  if (crashAt === undefined) return () => {};
  const deadly = new Set(crashAt.split(","));
  const passed = new Set<string>();
  return (place) => {
    if (crashAt === RECORD && !passed.has(place)) {
      passed.add(place);
      log("info", "passed a crash point", { place });
    } else if (deadly.has(place)) {
      log("warn", "dies at a crash point", { place });
      kill();
    }
  };
}
