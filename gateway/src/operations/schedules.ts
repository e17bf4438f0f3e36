/** Schedules: shown, and told what they are asked. What a manifest says of one is not written here. */
import { backfillsOf, newId, pauseOf, RequestRefusedError } from "@memflow/engine";
import type { ScheduleRecord } from "@memflow/engine";
import { OPERATIONS } from "../api/index.ts";
import { invalid, ProblemError } from "../http/problem.ts";
import type { StoreEntry } from "../stores/index.ts";
import { accessOf, storeOf } from "./call.ts";
import type { Call, Handler } from "./call.ts";
import { visible } from "./definitions.ts";
import { admit } from "./rights.ts";

const NEXT_TIMES = 5;

type ScheduleCall =
  | Call<"getSchedule">
  | Call<"triggerSchedule">
  | Call<"pauseSchedule">
  | Call<"resumeSchedule">
  | Call<"backfillSchedule">;

export const listSchedules: Handler<"listSchedules"> = async (call) => {
  const entry = await storeOf(call);
  const { namespace } = call.params;
  const shown = await visible(call, await entry.client.schedules.list(), ({ scheduleId: name }) =>
    accessOf(OPERATIONS.listSchedules, { namespace, name }),
  );
  return { status: 200, body: { schedules: shown.map((record) => scheduleBody(entry, record)) } };
};

export const getSchedule: Handler<"getSchedule"> = async (call) =>
  await changed(call, async (entry, name) => (await entry.client.schedules.get(name)) !== undefined);

export const triggerSchedule: Handler<"triggerSchedule"> = async (call) =>
  await changed(call, (entry, name) => entry.client.schedules.trigger(name, call.body.trigger ?? newId()));

export const pauseSchedule: Handler<"pauseSchedule"> = async (call) =>
  await changed(call, (entry, name) => entry.client.schedules.pause(name));

export const resumeSchedule: Handler<"resumeSchedule"> = async (call) =>
  await changed(call, (entry, name) => entry.client.schedules.resume(name));

export const backfillSchedule: Handler<"backfillSchedule"> = async (call) => {
  const { name: backfill, startAt, endAt, overlap } = call.body;
  const span = { name: backfill, startAtMs: Date.parse(startAt), endAtMs: Date.parse(endAt), overlap };
  if (span.startAtMs > span.endAtMs)
    throw invalid([{ path: "body.endAt", message: "must not be before startAt" }]);
  return await changed(call, (entry, name) => entry.client.schedules.backfill(name, span));
};

/** Admits, does, and shows what has become of the schedule. */
async function changed(call: ScheduleCall, change: (entry: StoreEntry, name: string) => Promise<boolean>) {
  const entry = await storeOf(call);
  const { namespace, schedule } = call.params;
  await admit(call, accessOf(OPERATIONS[call.operationId], { namespace, name: schedule }));
  try {
    const record = (await change(entry, schedule)) ? await entry.client.schedules.get(schedule) : undefined;
    if (record !== undefined) return { status: 200 as const, body: scheduleBody(entry, record) };
  } catch (error) {
    if (!(error instanceof RequestRefusedError)) throw error;
    throw new ProblemError("ScheduleChanged", `schedule "${schedule}": ${error.message}`, { cause: error });
  }
  throw new ProblemError("ScheduleNotFound", `schedule "${schedule}" not found in store "${entry.name}"`);
}

function scheduleBody({ client }: StoreEntry, record: ScheduleRecord) {
  const { scheduleId, definition, state, running, fault } = record;
  const pausedBy = pauseOf(definition, state);
  const progress = new Map(state.backfills.map((backfill) => [backfill.name, backfill]));
  return {
    name: scheduleId,
    workflow: definition.run.workflowName,
    taskQueue: definition.run.taskQueue,
    paused: pausedBy !== undefined,
    ...(pausedBy === undefined ? {} : { pausedBy }),
    overlap: definition.overlap,
    when: { ...definition.when },
    nextFireTimes: client.schedules.nextTimes(record, NEXT_TIMES).map(isoOf),
    lastFireTime: state.lastFireMs === null ? null : isoOf(state.lastFireMs),
    fired: state.fired,
    missed: state.missed,
    skipped: state.skipped,
    running,
    backfills: backfillsOf(definition, state).map(({ name, startAtMs, endAtMs, overlap }) => {
      const { phase = "Pending", started = 0 } = progress.get(name) ?? {};
      return { name, startAt: isoOf(startAtMs), endAt: isoOf(endAtMs), overlap, phase, started };
    }),
    fault,
  };
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}
