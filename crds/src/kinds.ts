/** The kinds of the group, in the order in which they refer to each other. */
import type { KindDefinition } from "./kind-definition.ts";
import { SCHEDULE } from "./kinds/schedule.ts";
import { STORE } from "./kinds/store.ts";
import { TASK_QUEUE } from "./kinds/task-queue.ts";
import { WORKFLOW } from "./kinds/workflow.ts";

/** Every kind of memflow.io/v1alpha1. */
export const KINDS: readonly KindDefinition[] = [STORE, TASK_QUEUE, WORKFLOW, SCHEDULE];
