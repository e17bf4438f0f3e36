/**
 * All that becomes of the objects of one type that a selector finds: what is there now, and what ever was.
 *
 * For claims about what did not happen meanwhile, such as a replica that went. It follows by a watch from `start` on.
 */
import { Reflector } from "@memflow/operator/kube";
import type { KubeObject, ResourceType } from "@memflow/operator/kube";
import type { ScenarioBench } from "./scenario-bench.ts";

/** A state of an object. */
export interface Recorded<T> {
  readonly atMs: number;
  readonly object: T;
}

/** @see ObjectRecord.start */
export class ObjectRecord<T extends KubeObject> {
  readonly #reflector: Reflector<T>;
  readonly #states: Recorded<T>[] = [];
  readonly #lookers = new Set<() => void>();
  readonly #signal: AbortSignal;

  private constructor(reflector: Reflector<T>, signal: AbortSignal) {
    this.#reflector = reflector;
    this.#signal = signal;
    reflector.onChange((change) => {
      if (change.type !== "deleted") this.#states.push({ atMs: Date.now(), object: change.object });
      for (const look of this.#lookers) look();
    });
  }

  /** Follows objects of the scenario's namespace, or another one, until the scenario ends. */
  static async start<T extends KubeObject>(
    bench: ScenarioBench,
    type: ResourceType<T>,
    {
      labelSelector,
      namespace = bench.namespace,
    }: { readonly labelSelector?: string; readonly namespace?: string },
  ): Promise<ObjectRecord<T>> {
    const selection = { namespace, ...(labelSelector === undefined ? {} : { labelSelector }) };
    const reflector = new Reflector({ client: bench.client, type, selection, log: () => {} });
    const record = new ObjectRecord(reflector, bench.signal);
    bench.afterwards(() => reflector.stop());
    reflector.start();
    await reflector.whenSynced();
    return record;
  }

  /** What is there now. */
  get present(): readonly T[] {
    return [...this.#reflector.store.list()];
  }

  /** Each state that was seen, in order. */
  get states(): readonly Recorded<T>[] {
    return this.#states;
  }

  /** Names of all objects that ever were. */
  get names(): ReadonlySet<string> {
    return new Set(this.#states.map(({ object }) => object.metadata?.name ?? ""));
  }

  /** Waits until what is there is as wanted. */
  async until(what: string, holds: (present: readonly T[]) => boolean): Promise<readonly T[]> {
    const reached = Promise.withResolvers<readonly T[]>();
    const look = (): void => {
      if (holds(this.present)) reached.resolve(this.present);
    };
    const late = (): void => reached.reject(new Error(`${what}: not in the time of the scenario`));
    this.#lookers.add(look);
    this.#signal.addEventListener("abort", late, { once: true });
    try {
      look();
      return await reached.promise;
    } finally {
      this.#lookers.delete(look);
      this.#signal.removeEventListener("abort", late);
    }
  }
}
