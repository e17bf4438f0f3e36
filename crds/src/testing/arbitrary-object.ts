/**
 * Random objects that fit a definition's types and bounds, and break its rules as often as they keep them.
 *
 * Texts come mostly from words that mean something to one field or another, so that rules over several fields are met.
 */
import fc from "fast-check";
import type { StructuralSchema } from "../generate/structural-schema.ts";

const LENGTH_MAX = 12;
const ENTRIES_MAX = 3;
/** Small numbers meet each other's bounds; large ones only pass them. */
const INTEGER_MAX = 20;

const DURATIONS = [
  "0s",
  "1ms",
  "250ms",
  "1s",
  "30s",
  "60s",
  "1m",
  "5m",
  "1h",
  "1h30m",
  "30m1h",
  "24h",
  "168h",
  "1.5h",
];
const NAMES = [
  "main",
  "orders-1",
  "a.b",
  "-a",
  "Orders",
  "memflow",
  "public",
  "pg_mine",
  "2_orders",
  "v1.2_3-a",
];
const TIMES = [
  "UTC",
  "Europe/Berlin",
  "+01:00",
  "30 2 * * *",
  "@daily",
  "60 * * * *",
  "*/5 8-18 1,15 JAN MON-FRI",
];
const TEXTS = ["index.ts", "lib/a.ts", "/app", "app", "A_B", "yes", "null", "1", "2026-01-01", "a: b", "# a"];
const WORDS: readonly string[] = [DURATIONS, NAMES, TIMES, TEXTS].flat();
const KEYS: readonly string[] = ["", "a", "B_2", "x-y", "index.ts", "main.mjs", "lib/a.ts", "yes"];
const OPEN_VALUES: readonly unknown[] = [null, 1, "text", true, { deep: [1, null, { yes: "no" }] }];

/** Objects of a schema; optional fields are left out half of the time. */
export function arbitraryOf(schema: StructuralSchema): fc.Arbitrary<unknown> {
  if (schema["x-kubernetes-int-or-string"] === true)
    return fc.constantFrom<unknown>(0, 2, "250m", "512Mi", "1.5");
  switch (schema.type) {
    case "boolean":
      return fc.boolean();
    case "integer":
    case "number":
      return arbitraryInteger(schema);
    case "string":
      return arbitraryText(schema);
    case "array":
      return fc.array(arbitraryOf(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 0, ENTRIES_MAX),
      });
    case "object":
      return arbitraryMap(schema);
    default:
      return fc.constantFrom(...OPEN_VALUES);
  }
}

function arbitraryInteger({ minimum = 0, maximum = INTEGER_MAX }: StructuralSchema): fc.Arbitrary<number> {
  return fc.integer({ min: minimum, max: Math.max(minimum, Math.min(maximum, INTEGER_MAX)) });
}

function arbitraryText(schema: StructuralSchema): fc.Arbitrary<string> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.format === "date-time") {
    const [min, max] = [new Date("2020-01-01T00:00:00Z"), new Date("2030-01-01T00:00:00Z")];
    return fc.date({ min, max, noInvalidDate: true }).map((date) => date.toISOString());
  }
  const { minLength = 0, maxLength = LENGTH_MAX } = schema;
  const words = WORDS.filter((word) => word.length >= minLength && word.length <= maxLength);
  const random = fc.string({ minLength, maxLength: Math.min(maxLength, LENGTH_MAX), unit: "grapheme-ascii" });
  return fc.oneof({ arbitrary: fc.constantFrom(...words), weight: 4 }, { arbitrary: random, weight: 1 });
}

function arbitraryMap(schema: StructuralSchema): fc.Arbitrary<unknown> {
  if (schema.additionalProperties !== undefined) {
    return fc.dictionary(fc.constantFrom(...KEYS), arbitraryOf(schema.additionalProperties), {
      maxKeys: ENTRIES_MAX,
      noNullPrototype: true,
    });
  }
  const fields = Object.entries(schema.properties ?? {}).map(
    ([name, child]) => [name, arbitraryOf(child)] as const,
  );
  return fc.record(Object.fromEntries(fields), {
    requiredKeys: [...(schema.required ?? [])],
    noNullPrototype: true,
  });
}
