/** Turns the signals by which a cluster or a person ends a process into an AbortSignal. */

/** The signals, and how to let go of them. */
export interface StopSignals {
  readonly signal: AbortSignal;
  /** Gives the signals back to Node. */
  dispose(): void;
}

/** A signal came. */
export class StopSignalError extends Error {
  readonly code = "STOP_SIGNAL";
  readonly signalName: NodeJS.Signals;

  constructor(signalName: NodeJS.Signals) {
    super(`received ${signalName}`);
    this.name = "StopSignalError";
    this.signalName = signalName;
  }
}

/** Listens for SIGTERM and SIGINT. A second signal ends the process at once, as Node does by itself. */
export function listenForStop(source: NodeJS.EventEmitter = process): StopSignals {
  const abort = new AbortController();
  const onSignal = (signalName: NodeJS.Signals): void => {
    dispose();
    abort.abort(new StopSignalError(signalName));
  };
  const dispose = (): void => {
    for (const name of STOP_SIGNALS) source.off(name, onSignal);
  };
  for (const name of STOP_SIGNALS) source.on(name, onSignal);
  return { signal: abort.signal, dispose };
}

const STOP_SIGNALS: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];
