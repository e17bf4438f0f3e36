/**
 * Which functions this process can run: workflows per queue, and activities by name.
 *
 * Promises that an activity given for a queue of its own never answers for another queue's activity of the same name.
 */

/** An activity as users write it. */
export type ActivityFunction = (...args: never[]) => unknown;

export class ActivityRegistry {
  readonly #anyQueue = new Map<string, ActivityFunction>();
  readonly #byQueue = new Map<string, Map<string, ActivityFunction>>();
  readonly #listeners = new Set<() => void>();

  /** Makes functions known; for a task queue of their own, or for the queues of the workflows that call them. */
  register(functions: Readonly<Record<string, ActivityFunction>>, taskQueue?: string): void {
    const target = taskQueue === undefined ? this.#anyQueue : this.#queue(taskQueue);
    let added = false;
    for (const [name, implementation] of Object.entries(functions)) {
      if (target.get(name) === implementation) continue;
      target.set(name, implementation);
      added = true;
    }
    if (added) for (const listener of this.#listeners) listener();
  }

  find(taskQueue: string, name: string): ActivityFunction | undefined {
    return this.#byQueue.get(taskQueue)?.get(name) ?? this.#anyQueue.get(name);
  }

  /** The names that this process can run for a queue. */
  names(taskQueue: string): string[] {
    return [...new Set([...(this.#byQueue.get(taskQueue)?.keys() ?? []), ...this.#anyQueue.keys()])];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #queue(taskQueue: string): Map<string, ActivityFunction> {
    const found = this.#byQueue.get(taskQueue);
    if (found !== undefined) return found;
    const made = new Map<string, ActivityFunction>();
    this.#byQueue.set(taskQueue, made);
    return made;
  }
}

/** The process's registry: proxies are made at module level, before any worker is. */
export const activityRegistry: ActivityRegistry = new ActivityRegistry();
