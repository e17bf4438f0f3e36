/**
 * Replays one recorded run from its history, without a worker: the commands that its code makes of it.
 *
 * Must be called from a macrotask, as the machine demands. Carries nothing out and writes nothing.
 */
import type { Command } from "../../core/commands.ts";
import { EVENT_KIND } from "../../core/events.ts";
import type { HistoryEvent } from "../../core/events.ts";
import type { NumberedChange } from "../../replay/entity-view.ts";
import { RunMachine } from "../../replay/run-machine.ts";
import type { Invoke, MachineState } from "../../replay/run-machine.ts";
import type { RunFacts } from "../../replay/run-context.ts";

/** What is needed to replay a run. */
export interface RecordedRun {
  readonly facts: RunFacts;
  readonly events: readonly HistoryEvent[];
  /** The whole log of its entity. */
  readonly changes: readonly NumberedChange[];
}

/** What a replay made. */
export interface Replay {
  readonly commands: readonly Command[];
  readonly state: MachineState;
}

/**
 * Replays a run.
 *
 * @throws {HistoryMismatchError} When the code asks for something else than history answers.
 * @throws {DeterminismViolation} When the code waits on nothing durable, or does what runs must not.
 */
export function replayRun({ facts, events, changes }: RecordedRun, invoke: Invoke): Replay {
  const machine = new RunMachine(facts, invoke);
  const commands: Command[] = [];
  machine.context.entity.feed(changes);
  machine.start();
  for (const event of events) {
    commands.push(...machine.takeCommands());
    if (event.kind === EVENT_KIND.timerFired && event.position === null) machine.restart(event);
    else machine.apply(event);
  }
  commands.push(...machine.takeCommands());
  return { commands, state: machine.state };
}
