/**
 * Does with an object what an API server does with a definition: fills its defaults in, then evaluates the CEL text of each rule.
 *
 * For tests. CEL's semantics come from a library of its own makers; what Kubernetes adds to it is added here. Types and bounds are
 * not checked.
 */
import { CelScalar, celEnv, celMethod, isCelError, listType, parse, plan } from "@bufbuild/cel";
import type { CelInput } from "@bufbuild/cel";
import type { StructuralSchema, ValidationRule } from "../generate/structural-schema.ts";

/** A rule that does not hold, and the field that it names. */
export interface BrokenRule {
  readonly field: string;
  readonly message: string;
}

type Evaluate = (bindings: Record<string, CelInput>) => unknown;

const ENVIRONMENT = celEnv({
  funcs: [
    celMethod("isSorted", listType(CelScalar.DYN), [], CelScalar.BOOL, function isSorted() {
      const entries = [...this] as readonly (bigint | string)[];
      return entries.every((entry, index) => index === 0 || (entries[index - 1] ?? entry) <= entry);
    }),
  ],
});
const plans = new Map<string, Evaluate>();

/** The object with the defaults of the schema, as an API server stores it. */
export function withDefaults(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((entry) => withDefaults(items, entry));
  }
  if (typeof value !== "object" || value === null) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    if (filled[name] === undefined && child.default !== undefined)
      filled[name] = structuredClone(child.default);
  }
  for (const [name, entry] of Object.entries(filled)) {
    const child = schema.properties?.[name] ?? schema.additionalProperties;
    if (child !== undefined) filled[name] = withDefaults(child, entry);
  }
  return filled;
}

/**
 * Evaluates every rule of the schema over an object with its defaults.
 *
 * @param before - The object before an update; only then are rules that speak of `oldSelf` evaluated.
 * @throws Error When an expression can't be evaluated, which an API server would report in place of the message.
 */
export function evaluateRules(
  schema: StructuralSchema,
  value: unknown,
  before?: unknown,
  path = "",
): BrokenRule[] {
  if (value === undefined || value === null) return [];
  const rules = schema["x-kubernetes-validations"] ?? [];
  const own = rules
    .filter(({ rule }) => before !== undefined || !rule.includes("oldSelf"))
    .filter((rule) => !holds(rule, schema, value, before))
    .map(({ fieldPath = "", message }) => ({ field: join(path, fieldPath), message }));
  return [...own, ...evaluateChildren(schema, value, before, path)];
}

function evaluateChildren(
  schema: StructuralSchema,
  value: unknown,
  before: unknown,
  path: string,
): BrokenRule[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return [];
    return value.flatMap((entry, index) =>
      evaluateRules(items, entry, sameEntry(schema, entry, before), `${path}[${index}]`),
    );
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, entry]) => {
    const child = schema.properties?.[name] ?? schema.additionalProperties;
    const old: unknown =
      typeof before === "object" && before !== null ? Reflect.get(before, name) : undefined;
    return child === undefined ? [] : evaluateRules(child, entry, old, join(path, `.${name}`));
  });
}

function join(path: string, step: string): string {
  return path === "" ? step.slice(1) : `${path}${step}`;
}

/** The entry of a list by keys that was the same one before. */
function sameEntry(schema: StructuralSchema, entry: unknown, before: unknown): unknown {
  const [key] = schema["x-kubernetes-list-map-keys"] ?? [];
  if (key === undefined || !Array.isArray(before)) return undefined;
  return (before as readonly object[]).find(
    (old) => Reflect.get(old, key) === Reflect.get(entry as object, key),
  );
}

function holds({ rule }: ValidationRule, schema: StructuralSchema, self: unknown, oldSelf: unknown): boolean {
  const bindings: Record<string, CelInput> = { self: toCel(schema, self) };
  if (oldSelf !== undefined) bindings["oldSelf"] = toCel(schema, oldSelf);
  const outcome = planned(rule)(bindings);
  if (typeof outcome === "boolean") return outcome;
  const reason = isCelError(outcome) ? outcome.message : `it gave ${String(outcome)}`;
  throw new Error(`rule ${rule} can't be evaluated over ${JSON.stringify(self)}: ${reason}`);
}

function planned(rule: string): Evaluate {
  const known = plans.get(rule);
  if (known !== undefined) return known;
  const evaluate = plan(ENVIRONMENT, parse(rule)) as Evaluate;
  plans.set(rule, evaluate);
  return evaluate;
}

/** A value as CEL sees it by its schema: whole numbers are no doubles, times are times. */
function toCel(schema: StructuralSchema, value: unknown): CelInput {
  if (schema.type === "integer" && typeof value === "number") return BigInt(value);
  if (schema.format === "date-time") return planned("timestamp(text)")({ text: value as string }) as CelInput;
  if (Array.isArray(value)) return value.map((entry) => toCel(schema.items ?? {}, entry));
  if (typeof value === "object" && value !== null) {
    const known = Object.entries(value).filter(
      ([name, entry]) =>
        entry !== undefined &&
        (schema.properties?.[name] ?? schema.additionalProperties ?? rootField(name)) !== undefined,
    );
    return new Map(
      known.map(([name, entry]) => [
        name,
        toCel(schema.properties?.[name] ?? schema.additionalProperties ?? {}, entry),
      ]),
    );
  }
  return value as CelInput;
}

/** Of metadata rules see the name alone. */
function rootField(name: string): StructuralSchema | undefined {
  return name === "name" ? { type: "string" } : undefined;
}
