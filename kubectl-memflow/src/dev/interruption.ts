/**
 * Ctrl-C and the termination signals: the first asks for an orderly stop, a later one for an end at once.
 *
 * npm passes a Ctrl-C on that the terminal has delivered already, so signals that come together count as one.
 */
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

/** The process was asked to stop. */
export class InterruptedError extends CommandError {
  constructor() {
    super(EXIT_CODES.interrupted, "interrupted");
    this.name = "InterruptedError";
  }
}

/** Hears the signals. */
export interface Interruption {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Resolves with the first signal. */
  readonly asked: Promise<void>;
  /** The value, or an {@link InterruptedError} as soon as the first signal comes. */
  unless<Value>(work: Promise<Value>): Promise<Value>;
  /** Hears no more. */
  close(): void;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const SAME_SIGNAL_MS = 500;

/**
 * Listens for the signals.
 *
 * @param onInsistence - Called when the user asks again: end at once.
 */
export function listenForInterruption(onInsistence: () => void): Interruption {
  const controller = new AbortController();
  const asked = Promise.withResolvers<void>();
  let firstAt = 0;
  const hear = (): void => {
    if (!controller.signal.aborted) {
      firstAt = performance.now();
      controller.abort();
      asked.resolve();
    } else if (performance.now() - firstAt > SAME_SIGNAL_MS) {
      onInsistence();
    }
  };
  for (const name of SIGNALS) process.on(name, hear);
  return {
    signal: controller.signal,
    asked: asked.promise,
    unless: (work) => {
      // The work may fail after nobody waits for it any more.
      work.catch(() => undefined);
      return Promise.race([
        work,
        asked.promise.then(() => {
          throw new InterruptedError();
        }),
      ]);
    },
    close: () => {
      for (const name of SIGNALS) process.off(name, hear);
    },
  };
}
