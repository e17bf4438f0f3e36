/**
 * A peer: DBOS in its documented default shape, workflows executed by the process that starts them, defaults untouched.
 *
 * Its package is optional: `openDbos` fails with the reason when it is not installed.
 */
import { touch } from "./jobs.ts";
import type { Job } from "./jobs.ts";
import type { SubjectClient } from "./subject.ts";

/** The part of the package that is used; not imported for its types, so that this compiles without it. */
interface Dbos {
  setConfig(config: Readonly<Record<string, unknown>>): void;
  launch(): Promise<void>;
  shutdown(): Promise<void>;
  registerWorkflow(
    work: (count: number) => Promise<number>,
    config: { readonly name: string },
  ): (count: number) => Promise<number>;
  runStep<Result>(work: () => Promise<Result>, config: { readonly name: string }): Promise<Result>;
  startWorkflow(
    target: (count: number) => Promise<number>,
  ): (count: number) => Promise<{ getResult(): Promise<unknown> }>;
}

const PACKAGE = "@dbos-inc/dbos-sdk";

export async function openDbos(url: string): Promise<SubjectClient> {
  const { DBOS } = (await import(PACKAGE)) as { readonly DBOS: Dbos };
  DBOS.setConfig({ name: "bench", systemDatabaseUrl: url, logLevel: "error" });
  const workflows: Partial<Record<Job["workflow"], (count: number) => Promise<number>>> = {
    noOp: DBOS.registerWorkflow(async (count) => await Promise.resolve(count), { name: "noOp" }),
    steps: DBOS.registerWorkflow(
      async (count) => {
        for (let step = 1; step <= count; step += 1) {
          await DBOS.runStep(async () => await Promise.resolve(touch(step)), { name: "touch" });
        }
        return count;
      },
      { name: "steps" },
    ),
  };
  await DBOS.launch();
  return {
    run: async ({ workflow, count }) => {
      const target = workflows[workflow];
      if (target === undefined) throw new Error(`job "${workflow}" is not measured for DBOS`);
      return await (await DBOS.startWorkflow(target)(count)).getResult();
    },
    close: () => DBOS.shutdown(),
  };
}
