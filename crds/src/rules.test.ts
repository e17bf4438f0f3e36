/**
 * Each rule of each kind has an accepted and a refused object, and its CEL text says the same as its TypeScript predicate.
 *
 * The objects are data in crds/fixtures; CEL is evaluated over the generated definitions, with the defaults of the definitions.
 */
import { describe, expect, test } from "vitest";
import { faultsOf, formatPath } from "./field-faults.ts";
import { customResourceDefinition } from "./generate/custom-resource-definition.ts";
import type { StructuralSchema } from "./generate/structural-schema.ts";
import { KINDS } from "./kinds.ts";
import type { KindDefinition } from "./kind-definition.ts";
import { findUpdateFaults, listRules } from "./schema-tree.ts";
import { evaluateRules, withDefaults } from "./testing/evaluate-rules.ts";
import type { BrokenRule } from "./testing/evaluate-rules.ts";
import { loadBaseObjects, loadRuleFixtures } from "./testing/fixtures.ts";
import type { RuleFixture } from "./testing/fixtures.ts";

const FIXTURES = loadRuleFixtures();

function definitionOf(kind: string): KindDefinition {
  const definition = KINDS.find((one) => one.kind === kind);
  if (definition === undefined) throw new Error(`a fixture is of kind "${kind}", which is none of ours`);
  return definition;
}

function schemaOf(definition: KindDefinition): StructuralSchema {
  return customResourceDefinition(definition).spec.versions[0].schema.openAPIV3Schema;
}

/** What the TypeScript predicates refuse. */
function faultsInTypeScript(definition: KindDefinition, value: unknown, from?: unknown): BrokenRule[] {
  const outcome = definition.schema.safeParse(value);
  if (!outcome.success) {
    return faultsOf(outcome.error.issues, value).map(({ path, reason }) => ({
      field: formatPath(path),
      message: reason,
    }));
  }
  if (from === undefined) return [];
  return findUpdateFaults(definition.schema, definition.schema.parse(from), outcome.data).map(
    ({ path, message }) => ({ field: formatPath(path), message }),
  );
}

/** What the CEL texts refuse; a rule over metadata can't name its field. */
function faultsInCel(definition: KindDefinition, value: unknown, from?: unknown): BrokenRule[] {
  const schema = schemaOf(definition);
  const before = from === undefined ? undefined : withDefaults(schema, from);
  return evaluateRules(schema, withDefaults(schema, value), before).map(({ field, message }) => ({
    field: field === "" ? "metadata.name" : field,
    message,
  }));
}

/** The value that stands there is part of a message of `memflow dev`, and no part of the rule. */
function withoutValue({ field, message }: BrokenRule): BrokenRule {
  return { field, message: message.replace(/^got .*?, (?=must |is |can't )/u, "") };
}

describe.each(FIXTURES)("$kind $field: $message", (fixture: RuleFixture) => {
  const definition = definitionOf(fixture.kind);

  test("the accepted object has no fault, in TypeScript and in CEL", () => {
    expect(faultsInTypeScript(definition, fixture.accepted, fixture.from)).toEqual([]);
    expect(faultsInCel(definition, fixture.accepted, fixture.from)).toEqual([]);
  });

  test("the refused object has this fault alone, in TypeScript and in CEL", () => {
    const expected = [{ field: fixture.field, message: fixture.message }];
    expect(faultsInTypeScript(definition, fixture.refused, fixture.from).map(withoutValue)).toEqual(expected);
    expect(faultsInCel(definition, fixture.refused, fixture.from)).toEqual(expected);
  });
});

test.each(KINDS)("every rule of $kind has a fixture", (definition) => {
  const rules = listRules(definition.schema).filter(({ path }) => path === "" || path.startsWith("spec"));
  expect(rules.length).toBeGreaterThan(5);
  const tried = new Set(
    FIXTURES.filter(({ kind }) => kind === definition.kind).map(({ message }) => message),
  );
  const untried = rules.filter(({ rule }) => !tried.has(rule.message));
  expect(untried.map(({ path, rule }) => `${path}: ${rule.message}`)).toEqual([]);
});

test("an update that changes what never changes may be no new object's fault", () => {
  const updates = FIXTURES.filter(({ from }) => from !== undefined);
  expect(updates.length).toBeGreaterThan(3);
  for (const { kind, refused, from } of updates) {
    expect(faultsInTypeScript(definitionOf(kind), refused)).toEqual([]);
    expect(faultsInTypeScript(definitionOf(kind), from)).toEqual([]);
  }
});

test("the smallest object of each kind is accepted", () => {
  const bases = loadBaseObjects();
  expect(bases).toHaveLength(KINDS.length);
  for (const [index, definition] of KINDS.entries()) {
    expect(faultsInTypeScript(definition, bases[index])).toEqual([]);
  }
});
