/**
 * The command line: `npm run bench -- [--quick] [--only NAME]... [--json FILE]`.
 */
import { parseArgs } from "node:util";

/** What was asked for. */
export interface BenchArguments {
  readonly quick: boolean;
  /** Names of workloads, or beginnings of them; all when empty. */
  readonly only: readonly string[];
  readonly jsonFile: string | undefined;
}

/** Reads the arguments; throws with the remedy for one that is unknown. */
export function readArguments(args: readonly string[], known: readonly string[]): BenchArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
    },
  });
  for (const name of values.only) {
    if (known.some((workload) => workload.startsWith(name))) continue;
    throw new Error(
      `--only "${name}" is no workload: use one of ${known.join(", ")}, or how some of them begin`,
    );
  }
  return { quick: values.quick, only: values.only, jsonFile: values.json };
}
