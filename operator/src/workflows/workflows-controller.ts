/**
 * Says of each Workflow whether runs of it can be started, which builds have its function, and how many runs there are.
 *
 * Promises to write a status only when it says something new, and Events when something turned; what it needs of a database
 * it asks for all Workflows of the Store at once. While a Store is away, what was known stays. It writes no definition: that is
 * definitions-controller.ts.
 */
import { WORKFLOW_CONDITIONS } from "@memflow/crds";
import type { Condition, WorkflowStatus } from "@memflow/crds";
import {
  applyStatus,
  conditionsOf,
  FIELD_MANAGERS,
  findCondition,
  INDEX,
  TASK_QUEUE_LABEL,
  WORKFLOWS,
} from "../api/index.ts";
import type { ConnectedStore, OperatorDependencies, WorkflowObject } from "../api/index.ts";
import { errorFields, identityOf, keyOf, sourceOf } from "../kube/index.ts";
import type { Controller, Happening, KubeObject, Pod, Source } from "../kube/index.ts";
import { judgeWorkflow } from "./core/judge-workflow.ts";
import type { AnnouncedBuild, WorkflowJudgement } from "./core/judge-workflow.ts";
import { StoreSurvey } from "./store-survey.ts";
import type { RunCounts } from "./store-survey.ts";
import { functionOf, referenceKey } from "./workflow-view.ts";
import type { QueueView, WorkflowViews } from "./workflow-view.ts";

type Needed = Pick<OperatorDependencies, "followed" | "stores" | "events" | "log" | "clock">;

/** Between two looks at the runs of a Workflow. */
const LOOK_MS = 60_000;
/** While workers are ready and have not been seen to announce it: they register a moment later. */
const LOOK_SOON_MS = 2_000;
const OWNED_CONDITIONS = Object.keys(WORKFLOW_CONDITIONS);
const OWNED_FIELDS = ["observedGeneration", "registeredBuildIds", "runs"] as const;

/** What the database says; undefined where it did not answer. */
interface Survey {
  readonly announced: readonly AnnouncedBuild[] | undefined;
  readonly runs: RunCounts | undefined;
}

export function makeWorkflowsController(dependencies: Needed, views: WorkflowViews): Controller {
  const { followed, stores, clock } = dependencies;
  const surveys = new Map<string, StoreSurvey>();
  const surveyOf = (store: ConnectedStore): StoreSurvey => {
    const known = surveys.get(store.key);
    if (known?.isOf(store) === true) return known;
    if (known) endSurvey(known, dependencies);
    const survey = new StoreSurvey(store, clock);
    surveys.set(store.key, survey);
    return survey;
  };
  return {
    name: "workflows",
    sources: [
      sourceOf(followed.workflows),
      // Another one may have waited for the name.
      sourceOf(followed.workflows, (object) => views.rivalKeys(object)),
      sourceOf(followed.taskQueues, (object) => views.keysOfQueue(keyOf(identityOf(object)))),
      sourceOf(followed.pods, (pod) => (isReady(pod) ? views.keysOfQueue(queueKeyOf(pod)) : [])),
      connections({ dependencies, views }, (storeKey) => {
        const survey = surveys.get(storeKey);
        if (survey === undefined || stores.find(storeKey) !== undefined) return;
        surveys.delete(storeKey);
        endSurvey(survey, dependencies);
      }),
    ],
    reconcile: async (key, { client, signal }) => {
      const view = views.find(key);
      if (view === undefined) return undefined;
      const { object, read, schemas } = view;
      const queueRef = referenceKey(object, "taskQueueRef") ?? "";
      const queue = views.queue(queueRef);
      const workflowName = functionOf(object);
      const holder = views.holder(queueRef, workflowName);
      const store = queue && stores.find(queue.storeKey);
      const survey =
        queue && store
          ? await ask(dependencies, surveyOf(store), { queueName: queue.queueName, workflowName })
          : { announced: undefined, runs: undefined };
      const judgement = judgeWorkflow({
        workflowName,
        queueRef: queueRef.slice(queueRef.indexOf("/") + 1),
        queue: queue && queueFacts(queue),
        nameTakenBy:
          holder === undefined || holder.metadata.name === object.metadata?.name
            ? undefined
            : holder.metadata.name,
        schemas,
        suspended: read.kind === "Read" && read.resource.spec.suspend,
        announced: survey.announced,
        registeredBefore: object.status?.registeredBuildIds ?? [],
      });
      const status = statusOf(object, { judgement, runs: survey.runs, now: clock.wallTime().toISOString() });
      const isNew = await applyStatus<WorkflowStatus>({
        client,
        type: WORKFLOWS,
        object,
        status,
        ownedFields: OWNED_FIELDS,
        ownedConditions: OWNED_CONDITIONS,
        fieldManager: FIELD_MANAGERS.workflows,
        signal,
      });
      if (isNew) for (const one of happeningsOf(object, status)) dependencies.events.record(one);
      const isAwaited =
        findCondition(status, "Registered")?.status !== "True" &&
        (queue?.object.status?.readyReplicas ?? 0) > 0;
      return { requeueAfterMs: isAwaited ? LOOK_SOON_MS : LOOK_MS };
    },
  };
}

/** The counts stay as they stand while they say the same: a status is not written because time went by. */
function statusOf(
  object: WorkflowObject,
  {
    judgement,
    runs,
    now,
  }: { readonly judgement: WorkflowJudgement; readonly runs: RunCounts | undefined; readonly now: string },
): WorkflowStatus {
  const before = object.status?.runs;
  const sameRuns =
    runs === undefined ||
    (before?.running === runs.running &&
      before.completed24h === runs.completed24h &&
      before.failed24h === runs.failed24h);
  const generation = object.metadata?.generation;
  return {
    observedGeneration: generation,
    registeredBuildIds: [...judgement.registeredBuildIds],
    runs: sameRuns ? before : runs,
    conditions: conditionsOf(judgement.claims, object.status?.conditions, { generation, now }),
  };
}

/** What turned since the status that stood before. */
function happeningsOf(object: WorkflowObject, status: WorkflowStatus): readonly Happening[] {
  const turned = (type: string): Condition | undefined => {
    const before = findCondition(object.status, type);
    const after = findCondition(status, type);
    return before?.reason === after?.reason ? undefined : after;
  };
  const happenings: Happening[] = [];
  const tell = (type: Happening["type"], reason: string, note: string): void =>
    void happenings.push({ regarding: object, type, reason, action: "Reconcile", note });
  const registered = turned("Registered");
  if (registered?.reason === "Announced") tell("Normal", "Registered", registered.message);
  if (registered?.reason === "NotExported") tell("Warning", "NotExported", registered.message);
  const schemaValid = turned("SchemaValid");
  if (schemaValid?.status === "False") tell("Warning", "SchemaInvalid", schemaValid.message);
  const ready = turned("Ready");
  if (ready?.reason === "Suspended") tell("Normal", "Suspended", ready.message);
  if (ready && findCondition(object.status, "Ready")?.reason === "Suspended") {
    tell("Normal", "Resumed", "New starts are taken again.");
  }
  return happenings;
}

async function ask(
  { log }: Needed,
  survey: StoreSurvey,
  { queueName, workflowName }: { readonly queueName: string; readonly workflowName: string },
): Promise<Survey> {
  try {
    const [announced, runs] = await Promise.all([
      survey.announced(queueName),
      survey.runs(queueName, workflowName),
    ]);
    return { announced, runs };
  } catch (error) {
    // The Store's own conditions tell of it; what was known of the Workflow stays.
    log("debug", "a Store did not say what it knows of workflows", {
      queue: queueName,
      ...errorFields(error),
    });
    return { announced: undefined, runs: undefined };
  }
}

function endSurvey(survey: StoreSurvey, { log }: Pick<Needed, "log">): void {
  survey
    .close()
    .catch((error: unknown) =>
      log("warn", "a connection that counts runs did not end well", errorFields(error)),
    );
}

function queueFacts({ object }: QueueView): {
  ready: Condition | undefined;
  currentBuildId: string | undefined;
} {
  return {
    ready: findCondition(object.status, "Ready"),
    currentBuildId: object.status?.currentBuildId,
  };
}

function queueKeyOf({ metadata }: KubeObject): string | undefined {
  const name = metadata?.labels?.[TASK_QUEUE_LABEL];
  return name === undefined ? undefined : keyOf({ namespace: metadata?.namespace, name });
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: holds }) => type === "Ready" && holds === "True") ?? false;
}

/** Workflows of Stores that were connected, or not any more. */
function connections(
  { dependencies, views }: { readonly dependencies: Needed; readonly views: WorkflowViews },
  onChange: (storeKey: string) => void,
): Source {
  const { followed, stores } = dependencies;
  return {
    reflector: followed.stores,
    connect: (add) =>
      stores.onChange((storeKey) => {
        onChange(storeKey);
        for (const queue of followed.taskQueues.store.find(INDEX.store, storeKey)) {
          for (const key of views.keysOfQueue(keyOf(identityOf(queue)))) add(key);
        }
      }),
  };
}
