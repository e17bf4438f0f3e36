/** The controllers of Workflows: what the database is told, and what statuses say. */
import type { OperatorDependencies } from "../api/index.ts";
import type { Controller } from "../kube/index.ts";
import { makeDefinitionsController } from "./definitions-controller.ts";
import { WorkflowViews } from "./workflow-view.ts";
import { makeWorkflowsController } from "./workflows-controller.ts";

/** Makes them. They share what was read of Workflows: nothing is checked twice. */
export function makeWorkflowControllers(dependencies: OperatorDependencies): readonly Controller[] {
  const views = new WorkflowViews(dependencies.followed);
  return [makeDefinitionsController(dependencies, views), makeWorkflowsController(dependencies, views)];
}
