/** What is done to a run: signals and ends. The right is asked for the run that is written. */
import {
  encodeFailure,
  encodePayload,
  parseDurationMs,
  RunClosedError,
  TerminatedError,
} from "@memflow/engine";
import type { StopRequest } from "@memflow/engine";
import { checkInterrupt, checkName } from "@memflow/sdk/service";
import { accessOf } from "./call.ts";
import type { Handler } from "./call.ts";
import { OPERATIONS } from "../api/index.ts";
import { expiresHeader, idempotencyOf } from "./idempotency.ts";
import { asStatus } from "./results.ts";
import { admit, admitRunById } from "./rights.ts";
import type { AdmittedRun } from "./rights.ts";

export const signalRun: Handler<"signalRun"> = async (call) => {
  const { entry, run } = await admitRunById(call);
  const signalId = checkName("signalId", call.params.signal);
  const { body } = call;
  const payload = encodePayload("data" in body ? body.data : undefined, { field: "data" });
  const request = { signalId, payload, toRunId: run.runId };
  const idempotency = idempotencyOf(call, { signalId, payload });
  const receipt = { runId: run.runId, signal: signalId };
  if (idempotency === undefined) {
    await entry.client.signal(request);
    return { status: 201, body: receipt };
  }
  const { fresh, expiresMs } = await entry.client.signalOnce({ ...request, idempotency });
  return { status: fresh ? 201 : 200, body: receipt, headers: expiresHeader(expiresMs) };
};

export const cancelRun: Handler<"cancelRun"> = async (call) => {
  const admitted = await admitRunById(call);
  const { failure } = checkInterrupt(admitted.run.workflowId, { reason: call.body.reason, stack: "" });
  return await stopped(admitted, { status: "canceled", failure, descend: false });
};

export const interruptRun: Handler<"interruptRun"> = async (call) => {
  const admitted = await admitRunById(call);
  const { reason, code, descend, retention, throw: throws } = call.body;
  if (descend === true) {
    // Children may be of any Workflow, and new ones may begin before the interrupt comes.
    await admit(
      call,
      accessOf(OPERATIONS.interruptRun, { namespace: call.params.namespace, name: undefined }),
    );
  }
  const checked = checkInterrupt(admitted.run.workflowId, {
    reason,
    code,
    descend,
    throw: throws,
    expire: retention === undefined ? undefined : parseDurationMs(retention, "retention") / 1_000,
    stack: "",
  });
  const { failure, retentionSeconds } = checked;
  return await stopped(admitted, { status: "canceled", failure, descend: checked.descend, retentionSeconds });
};

export const terminateRun: Handler<"terminateRun"> = async (call) => {
  const admitted = await admitRunById(call);
  const { workflowId } = admitted.run;
  const failure = encodeFailure(new TerminatedError({ workflowId, reason: call.body.reason }));
  const { stack: _, ...shown } = failure;
  return await stopped(admitted, { status: "terminated", failure: shown, descend: false });
};

async function stopped({ entry, run }: AdmittedRun, stop: Omit<StopRequest, "runId">) {
  const { runId, workflowId } = run;
  if (await entry.client.stop({ runId, ...stop }))
    return { status: 200 as const, body: { runId, status: asStatus(stop.status) } };
  const { status } = await entry.client.describe(runId);
  throw new RunClosedError({ workflowId, runId, status });
}
