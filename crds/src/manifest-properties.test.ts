/**
 * What holds for any object: both forms of the rules say the same, both kinds of defaults are the same, and YAML changes neither.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { faultsOf, formatPath } from "./field-faults.ts";
import { API_VERSION } from "./fields.ts";
import { customResourceDefinition } from "./generate/custom-resource-definition.ts";
import { KINDS } from "./kinds.ts";
import type { KindDefinition } from "./kind-definition.ts";
import { ManifestError } from "./manifest-error.ts";
import { parseManifests } from "./parse-manifests.ts";
import { listRules } from "./schema-tree.ts";
import { arbitraryOf } from "./testing/arbitrary-object.ts";
import { evaluateRules, withDefaults } from "./testing/evaluate-rules.ts";
import { loadRuleFixtures } from "./testing/fixtures.ts";

const RUNS = 100;

describe.each(KINDS)("$kind", (definition: KindDefinition) => {
  const schema = customResourceDefinition(definition).spec.versions[0].schema.openAPIV3Schema;
  const specSchema = schema.properties?.["spec"] ?? {};
  const ruleMessages = new Set(listRules(definition.schema).map(({ rule }) => rule.message));
  const objects = fc.record({
    apiVersion: fc.constant(API_VERSION),
    kind: fc.constant(definition.kind),
    metadata: fc.record({
      name: fc.constantFrom("orders", "2", "orders.eu", "a".repeat(41), "a".repeat(64)),
    }),
    spec: arbitraryOf(specSchema),
  });

  /** Broken rules by the TypeScript predicates, as `field: message`. */
  function brokenInTypeScript(value: unknown): string[] {
    const outcome = definition.schema.safeParse(value);
    if (outcome.success) return [];
    return outcome.error.issues
      .filter((issue) => ruleMessages.has(issue.message))
      .map((issue) => `${formatPath(issue.path.map(String))}: ${issue.message}`)
      .toSorted();
  }

  /** Broken rules by the CEL texts; a list's position is a step like any other here. */
  function brokenInCel(value: unknown): string[] {
    return evaluateRules(schema, withDefaults(schema, value))
      .map(({ field, message }) => `${field === "" ? "metadata.name" : field}: ${message}`)
      .map((fault) =>
        fault.replace(/^[^:]*/u, (field) => formatPath(field.split(/[.[\]]+/u).filter(Boolean))),
      )
      .toSorted();
  }

  test("CEL and TypeScript find the same rules broken, at the same fields", () => {
    const met = new Set<string>();
    fc.assert(
      fc.property(objects, (value) => {
        const broken = brokenInTypeScript(value);
        expect(broken).toEqual(brokenInCel(value));
        for (const fault of broken) met.add(fault);
      }),
      { numRuns: RUNS },
    );
    expect(met.size).toBeGreaterThan(10);
  });

  test("an accepted object gets the same defaults from TypeScript as from its definition, and no further ones", () => {
    const accepted = loadRuleFixtures()
      .filter(({ kind }) => kind === definition.kind)
      .map((fixture) => fixture.accepted as { readonly spec: unknown });
    expect(accepted.length).toBeGreaterThan(5);
    for (const value of accepted) {
      const parsed = definition.schema.parse(value) as { readonly spec: unknown };
      expect(parsed.spec).toEqual(withDefaults(specSchema, value.spec));
      expect(definition.schema.parse(parsed)).toEqual(parsed);
    }
  });

  test.each(["YAML", "JSON"])("a manifest in %s has the faults of the object that was written", (form) => {
    fc.assert(
      fc.property(objects, (value) => {
        const text = form === "YAML" ? stringify(value, { version: "1.1" }) : JSON.stringify(value);
        expect(faultsOfManifest(text)).toEqual(faultsOfObject(value));
      }),
      { numRuns: RUNS },
    );
  });

  function faultsOfObject(value: unknown): string[] {
    const outcome = definition.schema.safeParse(value);
    return outcome.success ? [] : faultsOf(outcome.error.issues, value).map(({ message }) => message);
  }
});

/** Faults of the manifest itself, without the files and lines that they stand at. */
function faultsOfManifest(text: string): string[] {
  try {
    parseManifests([{ path: "m.yaml", text }]);
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const messages = error.problems.map(({ message }) => message);
    return messages.filter((message) => !message.endsWith("not found in the given files"));
  }
}
