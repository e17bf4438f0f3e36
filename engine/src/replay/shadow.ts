/**
 * A test mode ("paranoid"): after each activation the run is repeated from scratch and compared with the live one.
 *
 * Finds what no guard and no history check can: code that asks for the same calls with other arguments, or keeps state
 * outside its run. Promises that a difference is a violation with the place of the call. Costs the square of a run's length.
 */
import type { Command } from "../core/commands.ts";
import { DeterminismViolation } from "../core/errors.ts";
import { EVENT_KIND } from "../core/events.ts";
import type { HistoryEvent } from "../core/events.ts";
import { PlaceWitness } from "./diagnosis.ts";
import type { NumberedChange } from "./entity-view.ts";
import type { RunMachine } from "./run-machine.ts";

export class Shadow {
  readonly #live: RunMachine;
  readonly #events: HistoryEvent[] = [];
  readonly #changes: NumberedChange[] = [];
  readonly #commands: Command[] = [];

  constructor(live: RunMachine) {
    this.#live = live;
  }

  /** The live run is about to see this event. */
  applied(event: HistoryEvent): void {
    this.#events.push(event);
  }

  /** The live run was given changes of its entity. */
  fed(changes: readonly NumberedChange[]): void {
    this.#changes.push(...changes);
  }

  /** The live run's code has asked for this. */
  asked(commands: readonly Command[]): void {
    this.#commands.push(...commands);
  }

  /**
   * Repeats the run and compares. Call it between activations, from a macrotask.
   *
   * @throws {DeterminismViolation} When the code asks for something else, or ends otherwise, than it did live.
   */
  compare(): void {
    const witness = new PlaceWitness();
    const repeated = this.#live.witnessed(witness);
    repeated.context.entity.feed(this.#changes);
    const commands: Command[] = [];
    repeated.start();
    for (const event of this.#events) {
      // The next attempt begins with a list of its own.
      if (event.kind === EVENT_KIND.attemptFailed) commands.push(...repeated.takeCommands());
      repeated.apply(event);
    }
    commands.push(...repeated.takeCommands());
    this.#compareCommands(commands, witness);
    this.#compareStates(repeated);
  }

  #compareCommands(repeated: readonly Command[], witness: PlaceWitness): void {
    for (let index = 0; index < Math.max(repeated.length, this.#commands.length); index += 1) {
      const before = textOf(this.#commands[index]);
      const again = textOf(repeated[index]);
      if (before === again) continue;
      const position = (repeated[index] ?? this.#commands[index])?.position ?? 0;
      throw new DeterminismViolation({
        call: `command ${position} of "${this.#live.facts.workflowName}"`,
        place: witness.placeOf(position),
        remedy: `it was ${before}, and from scratch it is ${again}; let it depend on arguments, results and the run's own state alone`,
      });
    }
  }

  #compareStates(repeated: RunMachine): void {
    const before = pictureOf(this.#live);
    const again = pictureOf(repeated);
    if (before === again) return;
    throw new DeterminismViolation({
      call: `the state of "${this.#live.facts.workflowName}" after ${this.#events.length} events`,
      place: "",
      remedy: `it was ${before}, and from scratch it is ${again}; let it depend on arguments, results and the run's own state alone`,
    });
  }
}

/** What is recorded of a command, as text. */
function textOf(command: Command | undefined): string {
  if (command === undefined) return "nothing";
  return JSON.stringify({ ...command, implementation: undefined });
}

/** What a machine shows to the outside, as text; of a failure, not where it was thrown. */
function pictureOf({ state, context }: RunMachine): string {
  const pending = [...context.pending].map(([position, { kind, name }]) => [position, kind, name]);
  const picture = {
    ...state,
    pending,
    nextPosition: context.nextPosition,
    entityNo: context.entity.entityNo,
  };
  return JSON.stringify(picture, (key, value: unknown) => (key === "stack" ? undefined : value));
}
