/**
 * An accepted and a refused object for each rule of each kind, read from `crds/fixtures`.
 *
 * Data, so that `memflow dev`'s checks and a real API server can be tried with the very same objects.
 */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { mergePatch } from "./merge-patch.ts";

/** Whole objects for one rule. */
export interface RuleFixture {
  readonly kind: string;
  /** Field at fault, as in messages: `spec.workers.env[0].name`. */
  readonly field: string;
  readonly message: string;
  readonly accepted: unknown;
  readonly refused: unknown;
  /** What stands in the cluster before; `accepted` and `refused` are updates of it. */
  readonly from?: unknown;
}

const FILES: readonly string[] = ["store.yaml", "task-queue.yaml", "workflow.yaml", "schedule.yaml"];

interface FixtureFile {
  readonly kind: string;
  readonly base: unknown;
  readonly cases: readonly {
    readonly fault: string;
    readonly accepted: unknown;
    readonly refused: unknown;
    readonly from?: unknown;
  }[];
}

/** All fixtures, kind by kind, in the order of the files. */
export function loadRuleFixtures(): RuleFixture[] {
  return FILES.flatMap((name) => {
    const { kind, base, cases } = readFixtureFile(name);
    return cases.map(({ fault, accepted, refused, from }) => {
      const [field, message] = splitFault(fault);
      return {
        kind,
        field,
        message,
        accepted: mergePatch(base, accepted),
        refused: mergePatch(base, refused),
        ...(from === undefined ? {} : { from: mergePatch(base, from) }),
      };
    });
  });
}

/** The smallest accepted object of each kind, in the order in which they refer to each other. */
export function loadBaseObjects(): unknown[] {
  return FILES.map((name) => readFixtureFile(name).base);
}

function readFixtureFile(name: string): FixtureFile {
  const path = new URL(`../../fixtures/${name}`, import.meta.url);
  return parse(readFileSync(path, "utf8"), { version: "1.1" }) as FixtureFile;
}

function splitFault(fault: string): [field: string, message: string] {
  const end = fault.indexOf(": ");
  if (end === -1) throw new Error(`fault "${fault}" of a fixture must be "field: message"`);
  return [fault.slice(0, end), fault.slice(end + 2)];
}
