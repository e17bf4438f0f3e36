/** The Schedules' controller. */
export { makeSchedulesController } from "./schedules-controller.ts";
