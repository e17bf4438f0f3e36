/**
 * Makes, keeps and removes the objects of builds.
 *
 * The order is what makes a kill harmless: a copy of the code before the Deployment that mounts it, the ControllerRevision last,
 * and last again when a build goes, so that a build of which anything is left is still seen.
 */
import type { TaskQueue } from "@memflow/crds";
import { queueNameOf } from "@memflow/crds";
import { FIELD_MANAGERS, TASK_QUEUE_LABEL } from "../api/index.ts";
import type { OperatorDependencies } from "../api/index.ts";
import {
  AlreadyExistsError,
  BadRequestError,
  CONFIG_MAPS,
  CONTROLLER_REVISIONS,
  DEPLOYMENTS,
  ForbiddenError,
  InvalidError,
  metadataOf,
  nameOf,
} from "../kube/index.ts";
import type { Deployment, KubeObject, ResourceType } from "../kube/index.ts";
import { deploymentNameOf, serviceAccountNameOf } from "./build-names.ts";
import type { TargetBuild } from "./build-names.ts";
import type { CodeFiles } from "./core/code-files.ts";
import { podTemplateOf, withStore } from "./core/pod-template.ts";
import type { PodTemplate, StorePart } from "./core/pod-template.ts";
import type { ClaimFacts } from "./core/queue-claims.ts";
import { findTemplateClash } from "./core/template-clashes.ts";
import { bareDeploymentOf, codeConfigMapOf, deploymentOf, revisionOf } from "./core/worker-objects.ts";
import type { BuildName } from "./core/worker-objects.ts";
import type { KeepContext, ObjectKeeper } from "./object-keeper.ts";
import { recordOf } from "./queue-objects.ts";
import type { BuildObjects } from "./queue-objects.ts";

/** The build of a spec, and what there is of it. */
export interface TargetParts {
  readonly target: TargetBuild;
  readonly code: CodeFiles | undefined;
  readonly objects: BuildObjects | undefined;
  readonly store: StorePart;
  /** Of the ControllerRevision that is made if need be: above all others of the queue. */
  readonly revision: number;
}

/** The outcome. */
export type MadeBuild =
  | { readonly kind: "Made"; readonly deployment: Deployment; readonly isNew: boolean }
  | {
      readonly kind: "Refused";
      readonly code: ClaimFacts["code"];
      readonly progress: ClaimFacts["progress"];
    };

/** Of one build that keeps its name, so many templates stay: pods of the last one may still be replaced. */
const TEMPLATES_KEPT = 2;

/** @see BuildMaker */
type MakerDependencies = Pick<OperatorDependencies, "workerImage" | "followed" | "crashPoint">;

/** Makes builds. */
export class BuildMaker {
  readonly #dependencies: MakerDependencies;
  readonly #keeper: ObjectKeeper;

  constructor(dependencies: MakerDependencies, keeper: ObjectKeeper) {
    this.#dependencies = dependencies;
    this.#keeper = keeper;
  }

  /** Makes the build of a spec, or brings it to what the spec says. */
  async makeTarget(parts: TargetParts, context: KeepContext): Promise<MadeBuild> {
    const { target, code, objects, store, revision } = parts;
    const kept = objects?.revisions.find(({ metadata }) => metadata?.name === target.revisionName);
    const clash = kept === undefined ? findTemplateClash(target.taskQueue.spec.workers) : undefined;
    if (clash !== undefined) {
      return {
        kind: "Refused",
        code: undefined,
        progress: { reason: "InvalidTemplate", message: clash },
      };
    }
    const template = kept === undefined ? this.#render(parts) : recordOf(kept).template;
    if (kept === undefined && objects?.deployment === undefined) {
      const refusal = await this.#tryImageVolume(target, template, context);
      if (refusal !== undefined) return refusal;
    }
    if (code !== undefined && !this.#hasCopy(target, kept !== undefined)) {
      const copy = codeConfigMapOf(target, code, target.revisionName);
      await createOnce({ type: CONFIG_MAPS, object: copy }, context);
    }
    const made = await this.#tryDeployment(target, withStore(template, store), objects?.deployment, context);
    if (made.kind === "Refused") return made;
    if (kept === undefined) {
      const name = target.revisionName;
      const record = revisionOf(target, { template }, { name, revision });
      await createOnce({ type: CONTROLLER_REVISIONS, object: record }, context);
    }
    const old = (objects?.revisions ?? []).filter(({ metadata }) => metadata?.name !== target.revisionName);
    for (const outdated of old.slice(TEMPLATES_KEPT - 1)) await this.#dropRevision(outdated, context);
    return made;
  }

  /** Keeps an older build as its own ControllerRevision says; one without is left as it is. */
  async keepOld(
    { taskQueue, objects, store }: { taskQueue: TaskQueue; objects: BuildObjects; store: StorePart },
    context: KeepContext,
  ): Promise<void> {
    const [newest] = objects.revisions;
    if (newest === undefined) return;
    const build = nameBuild(taskQueue, objects.buildId);
    await this.#keepDeployment(
      build,
      withStore(recordOf(newest).template, store),
      objects.deployment,
      context,
    );
  }

  /** Removes all objects of a build. */
  async remove(objects: BuildObjects, context: KeepContext): Promise<void> {
    const { deployment } = objects;
    if (deployment !== undefined) {
      await deleteObject(DEPLOYMENTS, deployment, context);
      this.#keeper.forget(DEPLOYMENTS, nameOf(deployment));
    }
    for (const revision of objects.revisions) await this.#dropRevision(revision, context);
  }

  #render({ target, code }: TargetParts): PodTemplate {
    const { taskQueue, buildId, revisionName } = target;
    return podTemplateOf({
      taskQueue,
      queueName: queueNameOf(taskQueue),
      buildId,
      serviceAccountName: serviceAccountNameOf(taskQueue.metadata.name),
      workerImage: this.#dependencies.workerImage,
      code: code && { files: code, configMapName: revisionName },
    });
  }

  #hasCopy({ taskQueue, revisionName }: TargetBuild, isRecorded: boolean): boolean {
    const { configMaps } = this.#dependencies.followed;
    if (configMaps === undefined) return isRecorded;
    return configMaps.store.get(`${taskQueue.metadata.namespace ?? ""}/${revisionName}`) !== undefined;
  }

  /** A server without image volumes may drop one without a word; its workers would run without code. */
  async #tryImageVolume(
    target: TargetBuild,
    template: PodTemplate,
    { client, signal }: KeepContext,
  ): Promise<MadeBuild | undefined> {
    if (target.taskQueue.spec.workers.source.artifact === undefined) return undefined;
    const means = { fieldManager: FIELD_MANAGERS.queues, signal };
    try {
      const seen = await client.preview(DEPLOYMENTS, deploymentOf(target, template), means);
      const isServed = seen.spec?.template.spec?.volumes?.some(({ image }) => image !== undefined);
      return isServed === true ? undefined : refusalOf(target.taskQueue, "volumes[].image is dropped");
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return refusalOf(target.taskQueue, error.message);
    }
  }

  async #tryDeployment(
    target: TargetBuild,
    template: PodTemplate,
    actual: Deployment | undefined,
    context: KeepContext,
  ): Promise<MadeBuild> {
    try {
      const deployment = await this.#keepDeployment(target, template, actual, context);
      return { kind: "Made", deployment, isNew: actual === undefined };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (actual === undefined) await this.#clean(target, context);
      return refusalOf(target.taskQueue, error.message);
    }
  }

  async #keepDeployment(
    build: BuildName,
    template: PodTemplate,
    actual: Deployment | undefined,
    context: KeepContext,
  ): Promise<Deployment> {
    if (actual === undefined) {
      const object = bareDeploymentOf(build, template);
      await createOnce({ type: DEPLOYMENTS, object, fieldManager: FIELD_MANAGERS.replicas }, context);
    }
    return this.#keeper.keep({ type: DEPLOYMENTS, object: deploymentOf(build, template), actual }, context);
  }

  /** What was begun of a build that can't be. One that is complete serves, whatever is refused of its next template. */
  async #clean(
    { taskQueue, deploymentName, revisionName }: TargetBuild,
    context: KeepContext,
  ): Promise<void> {
    const { namespace } = taskQueue.metadata;
    const { client, signal } = context;
    const name = { namespace, name: deploymentName };
    const begun = await client.find(metadataOf(DEPLOYMENTS), name, { signal });
    if (begun !== undefined && begun.metadata?.labels?.[TASK_QUEUE_LABEL] === undefined) {
      await deleteObject(DEPLOYMENTS, begun, context);
      this.#keeper.forget(DEPLOYMENTS, name);
    }
    await client.delete(CONFIG_MAPS, { namespace, name: revisionName }, { signal });
  }

  async #dropRevision(revision: KubeObject, context: KeepContext): Promise<void> {
    await context.client.delete(CONFIG_MAPS, nameOf(revision), { signal: context.signal });
    await deleteObject(CONTROLLER_REVISIONS, revision, context);
  }
}

function nameBuild(taskQueue: TaskQueue, buildId: string): BuildName {
  return { taskQueue, buildId, deploymentName: deploymentNameOf(taskQueue.metadata.name, buildId) };
}

/** The server has looked at the object and does not want it. */
function isRefusal(error: unknown): error is Error {
  return error instanceof InvalidError || error instanceof BadRequestError || error instanceof ForbiddenError;
}

/** Servers without image volumes refuse the field; or they drop it, and then miss what kind of volume it is. */
function refusalOf({ spec }: TaskQueue, answer: string): MadeBuild {
  if (spec.workers.source.artifact !== undefined && /\.image\b|volume type/u.test(answer)) {
    const message = `the cluster has no image volumes; put the code into an image. The API server says: ${answer}`;
    return { kind: "Refused", code: { reason: "ImageVolumeUnsupported", message }, progress: undefined };
  }
  const message = `the API server refuses the pods: ${answer}`;
  return { kind: "Refused", code: undefined, progress: { reason: "InvalidTemplate", message } };
}

/** Creates an object that never changes; that it is there already is as well. */
async function createOnce<T extends KubeObject>(
  {
    type,
    object,
    fieldManager = FIELD_MANAGERS.queues,
  }: { readonly type: ResourceType<T>; readonly object: T; readonly fieldManager?: string },
  { client, signal }: KeepContext,
): Promise<void> {
  try {
    await client.create(type, object, { fieldManager, signal });
  } catch (error) {
    if (!(error instanceof AlreadyExistsError)) throw error;
  }
}

async function deleteObject(
  type: ResourceType<KubeObject>,
  object: KubeObject,
  { client, signal }: KeepContext,
): Promise<void> {
  const uid = object.metadata?.uid;
  await client.delete(type, nameOf(object), { signal, ...(uid === undefined ? {} : { uid }) });
}
