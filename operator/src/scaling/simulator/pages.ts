/**
 * What the simulator and the words of a decision put into docs/: the pictures, and the tables of scaling.md.
 */
import { customResourceDefinition, TASK_QUEUE, TASK_QUEUE_CONDITIONS } from "@memflow/crds";
import { PAUSE_ANNOTATIONS } from "../core/pause.ts";
import { LIMITS, TERMS } from "../core/reasons.ts";
import { RULES } from "./autoscalers.ts";
import { markdownTable } from "./markdown.ts";
import type { Row } from "./markdown.ts";
import { drawTrace } from "./picture.ts";
import { simulate } from "./simulate.ts";
import type { Outcome } from "./simulate.ts";
import { allTraces } from "./traces.ts";
import type { Trace } from "./traces.ts";

/** A load and what came of it, by the name of the rule. */
export interface Played {
  readonly trace: Trace;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/** Plays every load under every rule. */
export function playAll(): readonly Played[] {
  return allTraces().map((trace) => ({
    trace,
    outcomes: new Map(RULES.map(({ name, make }) => [name, simulate(trace, make())])),
  }));
}

/** The figures of all loads, for people. */
export function outcomeTable(played: readonly Played[]): string {
  const rows = played.flatMap(({ trace, outcomes }) =>
    RULES.map(({ name, title }, index) => [
      index === 0 ? trace.name : "",
      title,
      ...figures(outcomes.get(name)),
    ]),
  );
  return markdownTable(
    [
      "load",
      "rule",
      ">replica-minutes",
      ">wait p50",
      ">wait p99",
      ">changes",
      ">tasks cut off",
      ">minutes of work lost",
    ],
    rows,
  );
}

/** Every region of scaling.md. */
export function pageRegions(played: readonly Played[]): ReadonlyMap<string, string> {
  return new Map([
    ["fields", markdownTable(["field", "default", "meaning"], fieldRows())],
    [
      "terms",
      markdownTable(
        ["term", "asks for", "meaning"],
        Object.entries(TERMS).map(([name, { formula, meaning }]) => [code(name), code(formula), meaning]),
      ),
    ],
    ["limits", wordTable("`limitedBy`", LIMITS)],
    [
      "conditions",
      (["ScalingActive", "ScalingLimited"] as const)
        .map((type) => wordTable(`reason of \`${type}\``, TASK_QUEUE_CONDITIONS[type].reasons))
        .join("\n\n"),
    ],
    ["annotations", wordTable("annotation", PAUSE_ANNOTATIONS)],
    ["outcomes", outcomeTable(played)],
    ["pictures", played.map(({ trace }) => `![${trace.title}](scaling/${trace.name}.svg)`).join("\n\n")],
  ]);
}

/** The pictures, by their path below docs/. */
export function pictures(played: readonly Played[]): ReadonlyMap<string, string> {
  return new Map(
    played.map(({ trace, outcomes }) => [`scaling/${trace.name}.svg`, drawTrace(trace, outcomes)]),
  );
}

function figures(outcome: Outcome | undefined): Row {
  if (outcome === undefined) throw new Error("a rule was not played");
  return [
    String(Math.round(outcome.replicaSeconds / 60)),
    seconds(outcome.waitP50Ms),
    seconds(outcome.waitP99Ms),
    String(outcome.scaleCount),
    String(outcome.interruptedCount),
    String(Math.round(outcome.lostMs / 60_000)),
  ];
}

/** The part of a schema that a table shows. */
interface Field {
  readonly description?: string | undefined;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Field>> | undefined;
}

/** The fields of a TaskQueue that a decision reads, from the definition that a cluster gets. */
function fieldRows(): readonly Row[] {
  const [version] = customResourceDefinition(TASK_QUEUE).spec.versions;
  const spec = fieldAt(version.schema.openAPIV3Schema, ["spec"]);
  return [
    ...leaves("scaling", fieldAt(spec, ["scaling"])),
    ...leaves("versioning.draining", fieldAt(spec, ["versioning", "draining"])),
  ];
}

function fieldAt(field: Field, path: readonly string[]): Field {
  return path.reduce((parent, name) => {
    const child = parent.properties?.[name];
    if (child === undefined) throw new Error(`a TaskQueue has no field "${path.join(".")}"`);
    return child;
  }, field);
}

function leaves(path: string, field: Field): readonly Row[] {
  const { properties, description = "" } = field;
  if (properties !== undefined) {
    return Object.entries(properties).flatMap(([name, child]) => leaves(`${path}.${name}`, child));
  }
  if (field.default === undefined) return [[code(path), "", description]];
  const value = typeof field.default === "string" ? field.default : JSON.stringify(field.default);
  return [[code(path), code(value), description]];
}

function wordTable(head: string, words: Readonly<Record<string, string>>): string {
  return markdownTable(
    [head, "meaning"],
    Object.entries(words).map(([word, meaning]) => [code(word), meaning]),
  );
}

function code(text: string): string {
  return `\`${text}\``;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
