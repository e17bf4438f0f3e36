/**
 * The standard conditions of every status, and the shape in which each kind documents its own.
 *
 * A reason is API: a script may wait for it. It is added, never renamed.
 */
import { z } from "zod";
import { count, listByKey, text } from "./fields.ts";

/** What one type of condition means, and what each of its reasons does, by reason. */
export interface ConditionDoc {
  readonly meaning: string;
  readonly reasons: Readonly<Record<string, string>>;
}

/** All conditions of a kind, by type. */
export type ConditionCatalog = Readonly<Record<string, ConditionDoc>>;

/** The types of a catalog. */
export type ConditionType<Catalog extends ConditionCatalog> = keyof Catalog & string;

/** The reasons of one type of a catalog. */
export type ConditionReason<
  Catalog extends ConditionCatalog,
  Type extends ConditionType<Catalog> = ConditionType<Catalog>,
> = Type extends ConditionType<Catalog> ? keyof Catalog[Type]["reasons"] & string : never;

/** Most characters of a condition's message. */
export const CONDITION_MESSAGE_MAX = 1_024;
const CONDITION_COUNT_MAX = 16;

const condition = z.strictObject({
  type: text(64).describe("Type of the condition."),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it holds."),
  observedGeneration: count().optional().describe("Generation of the spec that it speaks of."),
  lastTransitionTime: z
    .string()
    .max(40)
    .meta({ format: "date-time" })
    .describe("When its status changed last."),
  reason: text(64).describe("Why, as one of the documented words."),
  message: z.string().max(CONDITION_MESSAGE_MAX).describe("Why, for people, with what to do."),
});

/** A condition as Kubernetes knows it. */
export type Condition = z.output<typeof condition>;

/** The conditions of a status, one of each type. */
export const conditions = listByKey(condition, "type", CONDITION_COUNT_MAX)
  .optional()
  .describe("What holds, one entry per type.");

/** The generation that a status speaks of. */
export const observedGeneration = count()
  .optional()
  .describe("Generation of the spec that the operator acted on last.");
