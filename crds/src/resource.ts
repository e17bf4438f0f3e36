/**
 * What every resource has around its spec: apiVersion, kind, metadata, and a status that is the operator's.
 *
 * Promises to read what a person writes and what `kubectl get -o yaml` prints: fields that the cluster filled in are
 * taken as they are, any other unknown field is refused by name.
 */
import { z } from "zod";
import { API_VERSION, LABEL_KEYS, LABEL, LABEL_MAX, mapOf, NAME_MAX, resourceName, text } from "./fields.ts";
import { celText } from "./patterns.ts";
import { declareRules } from "./rules.ts";
import type { Rule } from "./rules.ts";

const ANNOTATION_LENGTH_MAX = 65_536;
const METADATA_ENTRIES_MAX = 256;

/** A reference to the owner of an object. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** Taken as the cluster gave it; a manifest that brings it changes nothing. */
function given<Value>() {
  return z.custom<Value>(() => true).optional();
}

/** Kubernetes' metadata of one object; its name is checked here, so that its fault is shown beside those of other fields. */
function metadata(name: Rule<Named>) {
  return z.strictObject({
    name: text(NAME_MAX)
      .superRefine((value, context) => {
        if (!name.holds({ metadata: { name: value } }, { metadata: { name: value } }))
          context.addIssue({ code: "custom", message: name.message });
      })
      .describe("Name, unique for its kind in the Kubernetes namespace."),
    namespace: resourceName.default("default").describe("Kubernetes namespace (default: default)."),
    labels: mapOf({
      value: z.string().max(LABEL_MAX),
      entriesMax: METADATA_ENTRIES_MAX,
      keys: LABEL_KEYS,
    }).default({}),
    annotations: mapOf({
      value: z.string().max(ANNOTATION_LENGTH_MAX),
      entriesMax: METADATA_ENTRIES_MAX,
      keys: LABEL_KEYS,
    }).default({}),
    uid: given<string>(),
    resourceVersion: given<string>(),
    generation: given<number>(),
    creationTimestamp: given<string>(),
    deletionTimestamp: given<string>(),
    deletionGracePeriodSeconds: given<number>(),
    finalizers: given<readonly string[]>(),
    ownerReferences: given<readonly OwnerReference[]>(),
    managedFields: given<readonly unknown[]>(),
    selfLink: given<string>(),
  });
}

/** A resource's kind, its name's bound, and what it holds. */
export interface ResourceOptions<Kind extends string, Spec extends z.ZodType> {
  readonly kind: Kind;
  /** Most characters of the name, at most 63. */
  readonly nameMax: number;
  readonly spec: Spec;
}

/**
 * The schema of a whole resource.
 *
 * @returns A schema that fills defaults in and leaves the status unchecked: whoever writes it is of another version perhaps.
 */
export function resource<Status, Kind extends string, Spec extends z.ZodType>(
  options: ResourceOptions<Kind, Spec>,
) {
  const name = nameRule(options.nameMax);
  const schema = z.strictObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(options.kind),
    metadata: metadata(name),
    spec: options.spec,
    status: given<Status>(),
  });
  return declareRules(schema, [name]);
}

/** A resource as far as its name. */
interface Named {
  readonly metadata: { readonly name: string };
}

/** Cluster names may be longer and have dots; what is made for a resource carries its name in a DNS label. */
function nameRule(nameMax: number): Rule<Named> {
  return {
    cel: `size(self.metadata.name) <= ${nameMax} && self.metadata.name.matches(${celText(LABEL.source)})`,
    message: `must have a metadata.name of <= ${nameMax} lower-case letters, digits and "-" that begins and ends with a letter or digit`,
    field: ["metadata", "name"],
    holds: ({ metadata: { name } }) => name.length <= nameMax && LABEL.test(name),
  };
}
