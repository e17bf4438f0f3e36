/**
 * How far an incarnation has come: it works, it hands over, or it is over.
 *
 * Its parts share one and ask it before they act; only the incarnation moves it on, and never back.
 */
export class Life {
  #phase: "working" | "draining" | "over" = "working";

  /** What is owned here may still be written. */
  get alive(): boolean {
    return this.#phase !== "over";
  }

  /** Everything is being handed over: nothing more is taken in. */
  get draining(): boolean {
    return this.#phase === "draining";
  }

  /** Work may be taken in. */
  get working(): boolean {
    return this.#phase === "working";
  }

  drain(): void {
    if (this.#phase === "working") this.#phase = "draining";
  }

  end(): void {
    this.#phase = "over";
  }

  /** Runs work in a macrotask, unless life is over by then: the code of runs is not drained in a microtask. */
  async inMacrotask(work: () => void): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      setImmediate(() => {
        try {
          if (this.alive) work();
          resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }
}
