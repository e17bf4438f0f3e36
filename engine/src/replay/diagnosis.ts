/**
 * Finds the place in user code where a run went wrong, by replaying it once more under observation.
 *
 * Costs nothing until a run is to be parked: then its code runs a second time from its history, each durable call notes
 * its place, and V8's promise hooks note where each promise of the run was made and awaited. Promises that the error it
 * returns is the given one, with a place where one was found. Records nothing, carries nothing out.
 */
import { inspect } from "node:util";
import { promiseHooks } from "node:v8";

import { DeterminismViolation, HistoryMismatchError } from "../core/errors.ts";
import type { HistoryEvent } from "../core/events.ts";
import type { NumberedChange } from "./entity-view.ts";
import { currentContext } from "./run-context.ts";
import type { Witness } from "./run-context.ts";
import type { RunMachine } from "./run-machine.ts";
import { currentStack, currentUserPlace, userPlace, userPlaces } from "./user-place.ts";

/** An error whose place the live run could not tell. */
export type PlacelessError = HistoryMismatchError | DeterminismViolation;

/** Promises of one run that are watched; of more, the first. */
const PROMISES_MAX = 200_000;

/** How V8 names the frame that makes a promise of code's own; all other promises follow from others. */
const EXECUTOR_FRAME = /^\s*at (?:new Promise|(?:Promise|Function)\.withResolvers) \(<anonymous>\)/;
/** Durable promises are made here: history settles them. */
const DURABLE_FRAME = /^\s*at RunContext\.expect /;

/** Whether a diagnosis may tell more than the error does. */
export function lacksPlace(error: unknown): error is PlacelessError {
  return (
    (error instanceof HistoryMismatchError || error instanceof DeterminismViolation) && error.place === ""
  );
}

/**
 * Replays a run that is to be parked and names the place. Call it from a macrotask, outside every run.
 *
 * @param options - The machine that failed, its whole recorded history, all changes of its entity up to then, and its error.
 * @returns The error with its place; the given one when the replay does not show it again.
 */
export function diagnose(options: {
  readonly machine: RunMachine;
  readonly events: readonly HistoryEvent[];
  readonly changes: readonly NumberedChange[];
  readonly error: PlacelessError;
}): PlacelessError {
  const { events, changes, error } = options;
  const witness = new PromiseWitness();
  const machine = options.machine.witnessed(witness);
  machine.context.entity.feed(changes);
  const stop = witness.watch();
  try {
    machine.start();
    for (const event of events) machine.apply(event);
  } catch (thrown) {
    return lacksPlace(thrown) || !isSameKind(thrown, error) ? error : (thrown as PlacelessError);
  } finally {
    stop();
  }
  if (error instanceof HistoryMismatchError) return error;
  // Live, something went on by itself; here it has not yet, so the code still stands before it.
  return new DeterminismViolation({
    call: error.call,
    place: witness.placeOfBlockedAwait(),
    remedy: error.remedy,
  });
}

function isSameKind(thrown: unknown, error: PlacelessError): boolean {
  return thrown instanceof Error && thrown.constructor === error.constructor;
}

interface WatchedPromise {
  readonly promise: Promise<unknown>;
  /** The promise that is awaited, or that `then` was called on. */
  readonly parent: Promise<unknown> | undefined;
  readonly stack: string;
}

/** Notes where each durable call is made. */
export class PlaceWitness implements Witness {
  readonly #places = new Map<number, string>();

  called(position: number): void {
    this.#places.set(position, currentUserPlace());
  }

  placeOf(position: number): string {
    return this.#places.get(position) ?? "";
  }

  /** Not known without watching promises. */
  placeOfBlockedAwait(): string {
    return "";
  }
}

/** Notes besides where each promise of the run is made and awaited. */
class PromiseWitness extends PlaceWitness {
  readonly #watched: WatchedPromise[] = [];
  #noting = false;

  /** Begins to note promises; returns how to end it. */
  watch(): () => void {
    const init = (promise: Promise<unknown>, parent: Promise<unknown> | undefined): void => {
      if (!this.#isOfRun()) return;
      this.#noting = true;
      this.#watched.push({ promise, parent, stack: currentStack(init) });
      this.#noting = false;
    };
    return promiseHooks.createHook({ init }) as () => void;
  }

  /**
   * The innermost await of something that neither history nor the run's own code settles. Innermost is what has most of
   * the user's frames; of equals, the latest.
   */
  override placeOfBlockedAwait(): string {
    this.#noting = true;
    const made = new Map(this.#watched.map((watched) => [watched.promise, watched]));
    const isLeaf = (promise: Promise<unknown>): boolean => isPending(promise) && isForeign(made.get(promise));
    const awaits = this.#watched.filter(({ parent }) => parent !== undefined && isLeaf(parent));
    const place = innermost(awaits) || innermost(this.#watched.filter(({ promise }) => isLeaf(promise)));
    this.#noting = false;
    // Code that returns such a promise has no await of its own: the last call that is still open is nearest.
    return place || innermost(this.#watched.filter(({ promise }) => isPending(promise)));
  }

  /** Whatever this file itself does with promises, and other code's promises in the same drain, are no part of the run. */
  #isOfRun(): boolean {
    return !this.#noting && this.#watched.length < PROMISES_MAX && currentContext()?.witness === this;
  }
}

function innermost(watched: readonly WatchedPromise[]): string {
  let place = "";
  let depth = 0;
  for (const { stack } of watched) {
    const places = userPlaces(stack);
    if (places.length === 0 || places.length < depth) continue;
    depth = places.length;
    place = userPlace(stack);
  }
  return place;
}

/** A promise that the run's own promises do not lead to: made outside the run, or by an executor of user code. */
function isForeign(made: WatchedPromise | undefined): boolean {
  if (made === undefined) return true;
  if (made.parent !== undefined) return false;
  const [maker = "", caller = ""] = made.stack.split("\n").filter((line) => /^\s*at /.test(line));
  return EXECUTOR_FRAME.test(maker) && !DURABLE_FRAME.test(caller);
}

function isPending(promise: Promise<unknown>): boolean {
  return /\{\s*<pending>/.test(inspect(promise, { depth: 0, customInspect: false, getters: false }));
}
