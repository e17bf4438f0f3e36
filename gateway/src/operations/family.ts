/** A run with its hooks and children: what a tree of it is drawn from. */
import type { RunDescription } from "@memflow/engine";
import type { StoreEntry } from "../stores/index.ts";
import type { Call, Handler } from "./call.ts";
import { runBody } from "./read-runs.ts";
import { admitRunById } from "./rights.ts";

export const getFamily: Handler<"getFamily"> = async (call) => {
  const { entry, run } = await admitRunById(call);
  const members = await entry.client.family(run.runId);
  const others = members.filter(({ runId }) => runId !== run.runId);
  return { status: 200, body: { runs: [run, ...(await thoseToGet(call, entry, others))].map(runBody) } };
};

/** One question a Workflow, however many runs it has. */
async function thoseToGet(
  call: Call<"getFamily">,
  entry: StoreEntry,
  runs: readonly RunDescription[],
): Promise<readonly RunDescription[]> {
  const answers = new Map<string | undefined, boolean>();
  const shown: RunDescription[] = [];
  for (const run of runs) {
    const name = entry.workflowOf(run.workflowName, run.taskQueue)?.name;
    const may = answers.get(name) ?? (await mayGet(call, name));
    answers.set(name, may);
    if (may) shown.push(run);
  }
  return shown;
}

function mayGet(
  { gatekeeper, subject, params }: Call<"getFamily">,
  name: string | undefined,
): Promise<boolean> {
  const access = { verb: "get", resource: "workflows/runs", namespace: params.namespace } as const;
  return gatekeeper.may(subject, name === undefined ? access : { ...access, name });
}
