/**
 * What a run's calls do outside the database once they are recorded: notifications of topics, and spans.
 *
 * Promises that neither happens before its event is committed, and at most once for each time that it is asked for: a
 * worker that dies between the commit and the effect has lost it. Never fails the run.
 */
import { ROOT_CONTEXT, TraceFlags, trace } from "@opentelemetry/api";
import type { Attributes } from "@opentelemetry/api";

import type { EmitCommand, TraceCommand } from "../core/commands.ts";
import type { HistoryEvent } from "../core/events.ts";
import { channelName } from "../store/identifiers.ts";
import { outside } from "../store/outside.ts";
import { topicReference } from "../store/topic-reference.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import type { OwnedRun, RunContribution } from "./owned-run.ts";

/** Who the spans are by, as OpenTelemetry names it. */
const TRACER_NAME = "memflow";

export class Effects {
  readonly #context: IncarnationContext;

  constructor(context: IncarnationContext) {
    this.#context = context;
  }

  /** Events of a run are committed. */
  recorded({ run, pendings, events }: RunContribution): void {
    for (const [index, { command }] of pendings.entries()) {
      const event = events[index];
      if (event !== undefined && (command?.kind === "emit" || command?.kind === "trace"))
        this.perform(run, command, event);
    }
  }

  /** Does what a recorded call asks for. */
  perform(
    run: OwnedRun,
    command: EmitCommand | TraceCommand,
    event: Pick<HistoryEvent, "eventNo" | "atMs">,
  ): void {
    if (command.kind === "emit") this.#publish(run, command, event);
    else this.#export(run, command, event);
  }

  /** Subscribers get the event's name and read its data: no payload is too long for a notification. */
  #publish(run: OwnedRun, { topics }: EmitCommand, { eventNo }: Pick<HistoryEvent, "eventNo">): void {
    const { notifier, options } = this.#context;
    const reference = topicReference({ runId: run.id, eventNo });
    for (const topic of topics) notifier.notify(channelName(options.schema, "topic", topic), reference);
  }

  #export(run: OwnedRun, command: TraceCommand, { atMs }: Pick<HistoryEvent, "atMs">): void {
    const { traceId, spanId, position, payload } = command;
    const above = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
    const attributes = {
      ...(JSON.parse(payload) as Attributes),
      "memflow.run.id": run.id,
      "memflow.workflow.id": run.facts.workflowId,
      "memflow.workflow.name": run.facts.workflowName,
      "memflow.position": position,
    };
    try {
      outside(() =>
        trace
          .getTracer(TRACER_NAME)
          .startSpan(
            `trace ${run.facts.workflowName}`,
            { attributes, startTime: atMs },
            trace.setSpanContext(ROOT_CONTEXT, above),
          )
          .end(atMs),
      );
    } catch (error) {
      // The exporter is the user's: what it throws must not stop the worker.
      this.#context.options.log("warn", "a span was not exported", { runId: run.id, error: String(error) });
    }
  }
}
