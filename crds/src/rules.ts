/**
 * Rules that a type alone can't say: each is written once, with the CEL text that an API server evaluates, the message that
 * both show, and the same predicate in TypeScript.
 *
 * Promises that a rule given to a schema is checked wherever the schema parses, and is found again by whoever generates the
 * definition or compares an update. That the two forms agree is proved by tests, which evaluate the CEL text.
 */
import { z } from "zod";

/** One rule over a value of a manifest, with its defaults filled in. */
export interface Rule<Value = unknown> {
  /** The expression for an API server; `self` is the value, `oldSelf` the value before an update. */
  readonly cel: string;
  /** What must hold, in words that follow a field and its value: `must be <= maxReplicas`. */
  readonly message: string;
  /** The field below the value that is at fault, as steps; the value itself when left out. */
  readonly field?: readonly string[];
  /** True when the rule compares an update with what stood there before; it says nothing of a new object. */
  readonly isTransition?: boolean;
  /** The same rule in TypeScript; `oldSelf` is `self` for a rule that is no transition. */
  readonly holds: (self: Value, oldSelf: Value) => boolean;
}

/** A check that an API server can't make; the operator makes it and reports it in a condition. */
export interface OperatorCheck<Value = unknown> {
  /** What must hold, for the reference page. */
  readonly message: string;
  /** Type and reason of the condition that tells of it on a cluster. */
  readonly condition: string;
  readonly reason: string;
  /** What is wrong, in words that follow the field; `undefined` when nothing is. */
  readonly faultOf: (self: Value) => string | undefined;
}

/**
 * Gives a schema its rules.
 *
 * @param schema - What the value must be before a rule may look at it.
 * @param rules - Checked in this order; every one that does not hold is a fault of its own.
 * @returns The same schema, which now refuses what a rule refuses.
 */
export function withRules<Schema extends z.ZodType>(
  schema: Schema,
  rules: readonly Rule<z.output<Schema>>[],
): Schema {
  const checked = schema.superRefine((value, context) => {
    for (const rule of rules) {
      if (rule.isTransition === true || rule.holds(value, value)) continue;
      context.addIssue({ code: "custom", message: rule.message, path: [...(rule.field ?? [])] });
    }
  });
  return declareRules(checked, rules);
}

/** Gives a schema rules that are checked elsewhere: a cluster's place for a rule may be another one than ours. */
export function declareRules<Schema extends z.ZodType>(
  schema: Schema,
  rules: readonly Rule<never>[],
): Schema {
  return schema.meta({ ...schema.meta(), rules: [...rulesOf(schema), ...rules] });
}

/** Gives a schema checks that hold in `memflow dev` at once, and on a cluster through a condition. */
export function withOperatorChecks<Schema extends z.ZodType>(
  schema: Schema,
  checks: readonly OperatorCheck<z.output<Schema>>[],
): Schema {
  const checked = schema.superRefine((value, context) => {
    for (const check of checks) {
      const message = check.faultOf(value);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    }
  });
  return checked.meta({ ...schema.meta(), operatorChecks: [...operatorChecksOf(schema), ...checks] });
}

/** The rules of one schema, without those of its fields. */
export function rulesOf(schema: z.ZodType): readonly Rule[] {
  return (schema.meta()?.["rules"] ?? []) as readonly Rule[];
}

/** The checks of one schema that are the operator's, without those of its fields. */
export function operatorChecksOf(schema: z.ZodType): readonly OperatorCheck[] {
  return (schema.meta()?.["operatorChecks"] ?? []) as readonly OperatorCheck[];
}

/** Exactly one of several optional fields is there. */
export function exactlyOneOf(names: readonly string[]): Rule<object> {
  const listed = `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  return {
    cel: `[${names.map((name) => `has(self.${name})`).join(", ")}].exists_one(given, given)`,
    message: `must have exactly one of ${listed}`,
    holds: (self) =>
      names.filter((name) => name in self && Reflect.get(self, name) !== undefined).length === 1,
  };
}

/** A field stays as it was made, and stays absent if it was left out. */
export function neverChanges<Name extends string>(
  name: Name,
  remedy: string,
): Rule<Readonly<Partial<Record<Name, string | undefined>>>> {
  return {
    cel:
      `has(self.${name}) == has(oldSelf.${name}) && ` +
      `(!has(self.${name}) || self.${name} == oldSelf.${name})`,
    message: `can't be changed: ${remedy}`,
    field: [name],
    isTransition: true,
    holds: (self, oldSelf) => self[name] === oldSelf[name],
  };
}
