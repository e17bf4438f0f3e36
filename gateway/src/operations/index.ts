/** What each operation of the table does. */
import type { Handlers } from "./call.ts";
import { getQueue, getWorkflow, listQueues, listWorkflows } from "./definitions.ts";
import { getFamily } from "./family.ts";
import { countRuns, listRuns } from "./list-runs.ts";
import {
  exportRun,
  getEntity,
  getHistory,
  getRun,
  getRunByWorkflowId,
  getSearchData,
  getState,
} from "./read-runs.ts";
import { getResult } from "./results.ts";
import {
  backfillSchedule,
  getSchedule,
  listSchedules,
  pauseSchedule,
  resumeSchedule,
  triggerSchedule,
} from "./schedules.ts";
import { executeRun, startRun } from "./start-runs.ts";
import { whoami } from "./whoami.ts";
import { cancelRun, interruptRun, signalRun, terminateRun } from "./write-runs.ts";

/** By their ids. */
export const HANDLERS: Handlers = {
  startRun,
  executeRun,
  listRuns,
  countRuns,
  getRun,
  getRunByWorkflowId,
  getResult,
  signalRun,
  getState,
  getEntity,
  getSearchData,
  cancelRun,
  interruptRun,
  terminateRun,
  getHistory,
  getFamily,
  exportRun,
  listQueues,
  getQueue,
  listWorkflows,
  getWorkflow,
  listSchedules,
  getSchedule,
  triggerSchedule,
  pauseSchedule,
  resumeSchedule,
  backfillSchedule,
  whoami,
};
