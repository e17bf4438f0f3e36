/** Tells waiting tests that something happened, so that they look again at once and nobody sleeps. */

interface Waiter {
  readonly look: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Rung by what changes; waited at by what depends on it. */
export class Bell {
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<() => void>();

  /** Calls back at each ring, before the waiters look. */
  onRing(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Lets everybody look. */
  ring(): void {
    for (const listener of this.#listeners) listener();
    for (const waiter of this.#waiters) this.#look(waiter);
  }

  /** Waits until `look` is true: now, or after some ring. A test whose condition never comes fails by its own time limit. */
  until(look: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { look, resolve, reject };
      this.#waiters.add(waiter);
      this.#look(waiter);
    });
  }

  #look(waiter: Waiter): void {
    try {
      if (!waiter.look()) return;
      waiter.resolve();
    } catch (error) {
      waiter.reject(error);
    }
    this.#waiters.delete(waiter);
  }
}
