/**
 * The building blocks of every kind: names, references, numbers, lists, maps, times, open values.
 *
 * Promises that every string, list and map is bounded (a cluster refuses unbounded ones once rules run over them) and
 * that an unknown field is an error, not a silent no-op.
 */
import { z } from "zod";
import { formedText } from "./patterns.ts";
import { withOperatorChecks, withRules } from "./rules.ts";
import type { OperatorCheck, Rule } from "./rules.ts";

/** The API group of every kind. */
export const API_GROUP = "memflow.io";
/** The version of every kind. */
export const VERSION_NAME = "v1alpha1";
/** The group and version of every kind. */
export const API_VERSION = "memflow.io/v1alpha1";

/** Most characters of a name that becomes a DNS label. */
export const LABEL_MAX = 63;
/** Most characters of any other name in Kubernetes. */
export const NAME_MAX = 253;
/** What one open value may weigh as JSON: a custom resource has to stay far below etcd's 1.5 MiB. */
const OPEN_VALUE_BYTES_MAX = 65_536;
const LABEL_KEY_MAX = 317;

/** A DNS label. */
export const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/u;

/** A name in a cluster: what a DNS label may be. */
export const resourceName: z.ZodString = formedText({
  max: LABEL_MAX,
  pattern: LABEL,
  message: 'must be lower-case letters, digits and "-", and begin and end with a letter or digit',
});

/** The name of a Secret, ConfigMap or service account. */
export const objectName: z.ZodString = formedText({
  max: NAME_MAX,
  pattern: /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/u,
  message: 'must be lower-case letters, digits, "-" and ".", and begin and end with a letter or digit',
});

/** A key of a Secret or ConfigMap. */
export const dataKey: z.ZodString = formedText({
  max: NAME_MAX,
  pattern: /^[-._a-zA-Z0-9]+$/u,
  message: 'must be letters, digits, "-", "_" and "."',
});

/** A reference to another resource of the same Kubernetes namespace. */
export const localRef = z.strictObject({
  name: resourceName.describe("Name of the resource, in the same Kubernetes namespace."),
});

/** A reference to a Secret or ConfigMap of the same Kubernetes namespace. */
export const objectRef = z.strictObject({
  name: objectName.describe("Name of the object, in the same Kubernetes namespace."),
});

/** One key of a Secret or ConfigMap. */
export const keyRef = z.strictObject({
  name: objectName.describe("Name of the Secret or ConfigMap."),
  key: dataKey.describe("Key in it."),
});

/** An integer within bounds; both are part of the kind. */
export function integer(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max);
}

/** A free text, at least one character long. */
export function text(max: number): z.ZodString {
  return z.string().min(1).max(max);
}

/** A whole number that only grows, such as a generation or a count. */
export function count(): z.ZodInt {
  return integer(0, Number.MAX_SAFE_INTEGER);
}

/** A list whose entries are told apart by one field, as `kubectl apply` merges them. */
export function listByKey<Key extends string, Item extends z.ZodObject<Record<Key, z.ZodType>>>(
  item: Item,
  key: Key,
  max: number,
) {
  const list = z
    .array(item)
    .max(max)
    .superRefine((entries, context) => {
      const seen = new Set<unknown>();
      for (const [index, entry] of entries.entries()) {
        const name: unknown = Reflect.get(entry, key);
        if (seen.has(name)) {
          const message = `must not be the same as in another entry`;
          context.addIssue({ code: "custom", message, path: [index, key] });
        }
        seen.add(name);
      }
    });
  return list.meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key] });
}

/** A list of texts in which none stands twice. */
export function textSet(item: z.ZodString, min: number, max: number) {
  const list = z
    .array(item)
    .min(min)
    .max(max)
    .superRefine((entries, context) => {
      for (const [index, entry] of entries.entries()) {
        if (entries.indexOf(entry) === index) continue;
        context.addIssue({ code: "custom", message: "must not stand in the list twice", path: [index] });
      }
    });
  return list.meta({ "x-kubernetes-list-type": "set" });
}

/** What the keys and values of a map are. */
export interface MapOptions<Value extends z.ZodType> {
  readonly value: Value;
  readonly entriesMax: number;
  /** What every key must be; `cel` speaks of one key as `key`. */
  readonly keys: { readonly cel: string; readonly message: string; readonly holds: (key: string) => boolean };
}

/** A map from texts. */
export function mapOf<Value extends z.ZodType>(options: MapOptions<Value>) {
  const { value, entriesMax, keys } = options;
  const map = z
    .record(z.string(), value)
    .superRefine((entries, context) => {
      const size = Object.keys(entries).length;
      if (size <= entriesMax) return;
      context.addIssue({ code: "custom", message: `must have <= ${entriesMax} entries, not ${size}` });
    })
    .meta({ maxProperties: entriesMax });
  return withRules(map, [
    {
      cel: `self.all(key, ${keys.cel})`,
      message: keys.message,
      holds: (self) => Object.keys(self).every((key) => keys.holds(key)),
    },
  ]);
}

/** Keys as labels and annotations have them. */
export const LABEL_KEYS: MapOptions<z.ZodType>["keys"] = {
  cel: `size(key) > 0 && size(key) <= ${LABEL_KEY_MAX}`,
  message: `must have keys of 1 to ${LABEL_KEY_MAX} characters`,
  holds: (key) => key.length > 0 && Array.from(key).length <= LABEL_KEY_MAX,
};

/** Labels that our objects get besides their own. */
export const labels = mapOf({ value: z.string().max(LABEL_MAX), entriesMax: 32, keys: LABEL_KEYS });

const DATE_TIME =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$/u;
const DATE_TIME_LENGTH_MAX = 40;

/** A point in time; an API server compares such fields as times. */
export const dateTime: z.ZodString = z
  .string()
  .max(DATE_TIME_LENGTH_MAX)
  .superRefine((value, context) => {
    if (isDateTime(value)) return;
    context.addIssue({ code: "custom", message: 'must be a time like "2026-11-23T07:00:00Z"' });
  })
  .meta({ format: "date-time" });

/** The milliseconds of a point in time; `undefined` when the text is none. */
export function dateTimeMs(value: string): number | undefined {
  return isDateTime(value) ? Date.parse(value) : undefined;
}

function isDateTime(value: string): boolean {
  const [, year, month, day] = DATE_TIME.exec(value) ?? [];
  if (year === undefined || month === undefined || day === undefined) return false;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}

/** One time of an object comes before another; says nothing while one is absent. */
export function earlier<First extends string, Second extends string>(
  first: First,
  second: Second,
): Rule<Readonly<Partial<Record<First | Second, string | undefined>>>> {
  return {
    cel: `!has(self.${first}) || !has(self.${second}) || self.${first} < self.${second}`,
    message: `must be later than ${first}`,
    field: [second],
    holds: (self) => {
      const [from, to] = [dateTimeMs(self[first] ?? ""), dateTimeMs(self[second] ?? "")];
      return from === undefined || to === undefined || from < to;
    },
  };
}

/** The mark of a value that a cluster keeps as it is given, whatever is in it. */
const OPEN = { "x-kubernetes-preserve-unknown-fields": true } as const;

/** Any JSON value. */
export const anyValue: z.ZodUnknown = z.unknown().meta({ ...OPEN, nullable: true });

/** A map of which MemFlow knows nothing. */
export const openMap = z.record(z.string(), z.unknown());

/** How heavy an open value may be; an API server can't weigh it. */
export function weightCheck(condition: string, reason: string): OperatorCheck {
  const message = `must have <= ${OPEN_VALUE_BYTES_MAX} bytes as JSON`;
  return {
    message,
    condition,
    reason,
    faultOf: (self) =>
      Buffer.byteLength(JSON.stringify(self) ?? "") <= OPEN_VALUE_BYTES_MAX ? undefined : message,
  };
}

/** Arguments of a run. */
export function runArguments(condition: string, reason: string) {
  return withOperatorChecks(z.array(anyValue).max(32), [weightCheck(condition, reason)]);
}
