/**
 * Judges a Workflow: from what is known of its queue, its schemas and the workers, its conditions.
 *
 * Promises that a queue at zero forgets nothing: what the last workers announced stands until others run.
 */
import type { WORKFLOW_CONDITIONS } from "@memflow/crds";
import type { ClaimOf } from "../../api/conditions.ts";

/** What workers of one build announce of a queue. */
export interface AnnouncedBuild {
  /** Null: workers without a build. */
  readonly buildId: string | null;
  readonly workflows: readonly string[];
}

/** What a Workflow is judged by. */
export interface WorkflowFacts {
  readonly workflowName: string;
  readonly queueRef: string;
  /** Undefined: there is no such TaskQueue. */
  readonly queue: QueueFacts | undefined;
  /** Another Workflow that has the name; undefined when it is free. */
  readonly nameTakenBy: string | undefined;
  readonly schemas: SchemaVerdict;
  readonly suspended: boolean;
  /** Living workers of the queue; undefined while nobody can say. */
  readonly announced: readonly AnnouncedBuild[] | undefined;
  /** As the status says it: builds that announced the function while they lived. */
  readonly registeredBefore: readonly string[];
}

/** Of the TaskQueue. */
export interface QueueFacts {
  /** Its Ready condition; undefined when it has none yet. */
  readonly ready: { readonly status: string; readonly message: string } | undefined;
  readonly currentBuildId: string | undefined;
}

/** Whether the definition can be used. */
export type SchemaVerdict =
  | { readonly kind: "Valid" }
  | {
      readonly kind: "Invalid";
      readonly reason: "InvalidSchema" | "SchemaTooLarge" | "DefaultArgsTooLarge";
      readonly message: string;
    };

export type WorkflowClaim = ClaimOf<typeof WORKFLOW_CONDITIONS>;

/** Of what a status is made. */
export interface WorkflowJudgement {
  readonly claims: readonly WorkflowClaim[];
  /** At most ten, the newest builds last. */
  readonly registeredBuildIds: readonly string[];
}

/** Workers without a build are shown under this name. */
const NO_BUILD = "unnamed";
const BUILDS_MAX = 10;

export function judgeWorkflow(facts: WorkflowFacts): WorkflowJudgement {
  const { registered, registeredBuildIds } = judgeRegistration(facts);
  const schemaValid = judgeSchemas(facts.schemas);
  return { claims: [judgeReady(facts, registered), registered, schemaValid], registeredBuildIds };
}

type Of<Type extends WorkflowClaim["type"]> = Extract<WorkflowClaim, { type: Type }>;

function judgeReady(facts: WorkflowFacts, registered: Of<"Registered">): Of<"Ready"> {
  const no = (reason: Of<"Ready">["reason"], message: string): Of<"Ready"> => ({
    type: "Ready",
    status: "False",
    reason,
    message,
  });
  const { queueRef, queue, nameTakenBy, schemas, suspended, workflowName } = facts;
  if (queue === undefined) {
    return no("TaskQueueNotFound", `There is no TaskQueue "${queueRef}" in this namespace: apply it.`);
  }
  if (nameTakenBy !== undefined) {
    return no(
      "WorkflowNameTaken",
      `Workflow "${nameTakenBy}" of the queue has the name "${workflowName}" already: delete one of them.`,
    );
  }
  if (schemas.kind === "Invalid") return no("SchemaNotValid", schemas.message);
  if (queue.ready?.status !== "True") {
    const why = queue.ready?.message ?? "nothing is known of it yet";
    return no("TaskQueueNotReady", `TaskQueue "${queueRef}" is not ready: ${why}`);
  }
  if (registered.reason === "NotExported") return no("NotRegistered", registered.message);
  if (suspended) return no("Suspended", "spec.suspend is set: new starts are refused.");
  return { type: "Ready", status: "True", reason: "Ready", message: "Runs can be started." };
}

function judgeRegistration(facts: WorkflowFacts): {
  readonly registered: Of<"Registered">;
  readonly registeredBuildIds: readonly string[];
} {
  const { announced, queue, workflowName, registeredBefore } = facts;
  const idOf = ({ buildId }: AnnouncedBuild): string => buildId ?? NO_BUILD;
  const living = announced ?? [];
  const exporting = living.filter(({ workflows }) => workflows.includes(workflowName)).map(idOf);
  const silent = living.filter(({ workflows }) => !workflows.includes(workflowName)).map(idOf);
  // Those of the past stay for as long as no worker of theirs says otherwise.
  const past = registeredBefore.filter((id) => !silent.includes(id) && !exporting.includes(id));
  const registeredBuildIds = [...past, ...exporting.toSorted()].slice(-BUILDS_MAX);
  // A worker without a build may run any code, the current one as well.
  const isCurrent = (id: string): boolean =>
    queue?.currentBuildId === undefined || id === queue.currentBuildId || id === NO_BUILD;
  const known = registeredBuildIds.filter(isCurrent);
  const claim = (
    status: "True" | "False" | "Unknown",
    reason: Of<"Registered">["reason"],
    message: string,
  ): Of<"Registered"> => ({ type: "Registered", status, reason, message });
  if (known.length > 0) {
    return {
      registeredBuildIds,
      registered: claim("True", "Announced", `Announced by build ${known.join(", ")}.`),
    };
  }
  if (silent.some(isCurrent)) {
    const exported = [...new Set(living.flatMap(({ workflows }) => workflows))].toSorted().join(", ");
    return {
      registeredBuildIds,
      registered: claim(
        "False",
        "NotExported",
        `Workers run but export no function "${workflowName}" (they export: ${exported === "" ? "none" : exported}): check workflowName and the code.`,
      ),
    };
  }
  return {
    registeredBuildIds,
    registered: claim(
      "Unknown",
      "NotSeenYet",
      "No worker of the current build has run yet; a start wakes the queue.",
    ),
  };
}

function judgeSchemas(verdict: SchemaVerdict): Of<"SchemaValid"> {
  return verdict.kind === "Valid"
    ? { type: "SchemaValid", status: "True", reason: "Valid", message: "Nothing is wrong with it." }
    : { type: "SchemaValid", status: "False", reason: verdict.reason, message: verdict.message };
}
