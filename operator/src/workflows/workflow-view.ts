/**
 * How Workflows, TaskQueues and Stores belong together, as far as objects say it.
 *
 * Reads stores of reflectors alone, and each Workflow once: it may be asked often.
 */
import { setImmediate } from "node:timers/promises";
import { queueNameOf, workflowNameOf } from "@memflow/crds";
import type { Workflow } from "@memflow/crds";
import { INDEX, readTaskQueue, readWorkflow } from "../api/index.ts";
import type { CustomObject, Followed, ReadResource, TaskQueueObject, WorkflowObject } from "../api/index.ts";
import { identityOf, keyOf } from "../kube/index.ts";
import { SchemaChecker } from "./check-schemas.ts";
import { definitionRow, elderOf } from "./core/definition.ts";
import type { DefinitionRow } from "./core/definition.ts";
import type { SchemaVerdict } from "./core/judge-workflow.ts";

/** A TaskQueue as Workflows need it. */
export interface QueueView {
  readonly object: TaskQueueObject;
  /** As workers call it. */
  readonly queueName: string;
  readonly storeKey: string;
}

/** A Workflow, read and checked. */
export interface WorkflowView {
  readonly object: WorkflowObject;
  readonly read: ReadResource<Workflow>;
  readonly schemas: SchemaVerdict;
}

type Needed = Pick<Followed, "taskQueues" | "workflows">;

const READ_IN_A_TURN = 8;

/** Looks at Workflows and what they refer to. */
export class WorkflowViews {
  readonly #followed: Needed;
  readonly #checker = new SchemaChecker();
  /** A schema is not compiled anew because a queue scaled. */
  readonly #known = new WeakMap<WorkflowObject, WorkflowView>();

  constructor(followed: Needed) {
    this.#followed = followed;
  }

  /** The Workflow of that key, unless it is gone or going. */
  find(key: string): WorkflowView | undefined {
    const object = this.#followed.workflows.store.get(key);
    return object === undefined || object.metadata?.deletionTimestamp !== undefined
      ? undefined
      : this.#view(object);
  }

  /** The TaskQueue of that key; undefined when it is not there, or not to be read. */
  queue(queueKey: string | undefined): QueueView | undefined {
    const object = queueKey === undefined ? undefined : this.#followed.taskQueues.store.get(queueKey);
    if (object === undefined) return undefined;
    const read = readTaskQueue(object);
    if (read.kind !== "Read") return undefined;
    const { namespace } = identityOf(object);
    return {
      object,
      queueName: queueNameOf(read.resource),
      storeKey: keyOf({ namespace, name: read.resource.spec.storeRef.name }),
    };
  }

  /** Which Workflow of a queue has a name: the oldest of all that want it. */
  holder(queueKey: string, workflowName: string): Workflow | undefined {
    return elderOf(
      this.#found(INDEX.function, `${queueKey}/${workflowName}`).flatMap(({ read }) =>
        read.kind === "Read" ? [read.resource] : [],
      ),
    );
  }

  /** Keys of those of the same queue that want the same name. */
  rivalKeys(object: WorkflowObject): readonly string[] {
    const queueKey = referenceKey(object, "taskQueueRef");
    if (queueKey === undefined) return [];
    return this.#followed.workflows.store
      .find(INDEX.function, `${queueKey}/${functionOf(object)}`)
      .map((rival) => keyOf(identityOf(rival)));
  }

  /** Reads the Workflows of a Store ahead, a few in a turn: compiling thousands of schemas must not hold up the lease. */
  async readAhead(storeKey: string): Promise<void> {
    let count = 0;
    for (const queue of this.#followed.taskQueues.store.find(INDEX.store, storeKey)) {
      for (const object of this.#followed.workflows.store.find(INDEX.taskQueue, keyOf(identityOf(queue)))) {
        if (this.#known.has(object)) continue;
        this.#view(object);
        count++;
        if (count % READ_IN_A_TURN === 0) await setImmediate();
      }
    }
  }

  /** All that the database of a Store is to know. */
  definitions(storeKey: string): readonly DefinitionRow[] {
    return this.#followed.taskQueues.store.find(INDEX.store, storeKey).flatMap((object) => {
      const queueKey = keyOf(identityOf(object));
      const views = this.#ofQueue(queueKey);
      // Most of many: they are not read for nothing.
      if (views.length === 0) return [];
      const queue = this.queue(queueKey);
      if (queue === undefined) return [];
      const valid = views.flatMap(({ read, schemas }) =>
        read.kind === "Read" && schemas.kind === "Valid" ? [read.resource] : [],
      );
      return [...Map.groupBy(valid, workflowNameOf).values()].flatMap((rivals) => {
        const holder = elderOf(rivals);
        return holder === undefined ? [] : [definitionRow(holder, queue.queueName)];
      });
    });
  }

  /** Keys of the Workflows of a queue. */
  keysOfQueue(queueKey: string | undefined): readonly string[] {
    if (queueKey === undefined) return [];
    return this.#followed.workflows.store
      .find(INDEX.taskQueue, queueKey)
      .map((object) => keyOf(identityOf(object)));
  }

  #ofQueue(queueKey: string): readonly WorkflowView[] {
    return this.#found(INDEX.taskQueue, queueKey);
  }

  #found(index: string, value: string): readonly WorkflowView[] {
    return this.#followed.workflows.store
      .find(index, value)
      .filter(({ metadata }) => metadata?.deletionTimestamp === undefined)
      .map((object) => this.#view(object));
  }

  #view(object: WorkflowObject): WorkflowView {
    const known = this.#known.get(object);
    if (known) return known;
    const read = readWorkflow(object);
    const view = { object, read, schemas: this.#checker.check(object, read) };
    this.#known.set(object, view);
    return view;
  }
}

/** What a reference of an object leads to, in its own namespace. */
export function referenceKey({ metadata, spec }: CustomObject, field: string): string | undefined {
  const name = (spec as Readonly<Record<string, { readonly name?: unknown }>> | undefined)?.[field]?.name;
  return typeof name === "string" ? keyOf({ namespace: metadata?.namespace, name }) : undefined;
}

/** The name under which a Workflow is started; its own when the spec, which comes unchecked, says none. */
export function functionOf({ metadata, spec }: WorkflowObject): string {
  const name = (spec as { readonly workflowName?: unknown } | undefined)?.workflowName;
  return typeof name === "string" ? name : (metadata?.name ?? "");
}
