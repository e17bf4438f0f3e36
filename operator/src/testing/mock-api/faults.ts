/**
 * What the mock API server is to do wrong, to whom, and how often.
 *
 * Faults are taken in the order of their injection: each request meets the first one that fits it and is not used up.
 */

/** What a request wants. */
export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete";

/** One way to fail. */
export type Fault =
  /** The connection is reset before anything is done. */
  | { readonly kind: "reset" }
  /** It is done, and the connection is reset before the answer. */
  | { readonly kind: "lose-answer" }
  /** Nothing is done, and no answer comes: the connection stays open in silence. */
  | { readonly kind: "silence" }
  /** Refused with a status, such as 429, 500, or 410. */
  | {
      readonly kind: "refuse";
      readonly status: number;
      readonly reason?: string;
      readonly retryAfterSeconds?: number;
    }
  /** The answer comes in small pieces. */
  | { readonly kind: "slow-body" }
  /** Half of the answer comes, then the connection is reset. */
  | { readonly kind: "cut-body" }
  /** Half of the answer comes, and then nothing more. */
  | { readonly kind: "stall-body" }
  /** The answer is complete, and not JSON. */
  | { readonly kind: "garble" }
  /** A watch, after so many events, ends as given. */
  | { readonly kind: "break-watch"; readonly afterCount: number; readonly by: WatchBreak }
  /** A watch begins with so many events from before its resource version, as from a server that lags behind. */
  | { readonly kind: "replay"; readonly count: number };

/** How a watch breaks. */
export type WatchBreak =
  | "reset"
  | "end"
  /** The connection stays, and nothing comes any more. */
  | "silence"
  /** Half a line, then the orderly end. */
  | "truncated-line"
  | "garbled-line"
  /** An ERROR event with this status. */
  | { readonly status: number; readonly reason: string; readonly retryAfterSeconds?: number };

/** Whom a fault meets. What is left out fits all. */
export interface FaultTarget {
  readonly verbs?: readonly Verb[];
  readonly plural?: string;
  /** The user of the kubeconfig. */
  readonly user?: string;
}

/** A request, as faults see it. */
export interface FaultCandidate {
  readonly verb: Verb;
  readonly plural: string;
  readonly user: string;
}

interface Injected {
  readonly fault: Fault;
  readonly target: FaultTarget;
  leftCount: number;
}

/** The faults that wait for requests. */
export class FaultPlan {
  readonly #injected = new Set<Injected>();
  #metCount = 0;

  /** How many requests met a fault so far. */
  get metCount(): number {
    return this.#metCount;
  }

  /**
   * Adds a fault.
   *
   * @param times - How many requests meet it (default 1; Infinity until cleared).
   */
  inject(fault: Fault, target: FaultTarget = {}, times = 1): void {
    this.#injected.add({ fault, target, leftCount: times });
  }

  /** Drops all faults that still wait. */
  clear(): void {
    this.#injected.clear();
  }

  /** Takes the fault that a request meets, if any. */
  take(candidate: FaultCandidate): Fault | undefined {
    for (const injected of this.#injected) {
      if (!fits(injected, candidate)) continue;
      if (--injected.leftCount <= 0) this.#injected.delete(injected);
      this.#metCount++;
      return injected.fault;
    }
    return undefined;
  }
}

function fits({ fault, target }: Injected, { verb, plural, user }: FaultCandidate): boolean {
  if ((fault.kind === "break-watch" || fault.kind === "replay") && verb !== "watch") return false;
  return (
    (target.verbs?.includes(verb) ?? true) &&
    (target.plural ?? plural) === plural &&
    (target.user ?? user) === user
  );
}
