/** The CustomResourceDefinition of a kind: names, schema, subresources, columns. */
import { createHash } from "node:crypto";
import { API_GROUP, VERSION_NAME } from "../fields.ts";
import type { KindDefinition, PrinterColumn } from "../kind-definition.ts";
import { rulesOf } from "../rules.ts";
import { findSchemaFaults } from "./schema-faults.ts";
import { structuralSchema, validationRules } from "./structural-schema.ts";
import type { StructuralSchema } from "./structural-schema.ts";

/** Annotation: tells one schema of a kind from another, so that an operator sees whether the cluster has its own. */
export const SCHEMA_HASH_ANNOTATION = "memflow.io/schema-hash";

/** `kubectl get memflow` shows all of them. */
const CATEGORY = "memflow";
const HASH_LENGTH = 16;

/** A definition as it is applied. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: {
    readonly name: string;
    readonly annotations: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: DefinitionSpec;
}

/** The part of a definition that has the schema. */
interface DefinitionSpec {
  readonly group: string;
  readonly scope: "Namespaced";
  readonly names: {
    readonly kind: string;
    readonly listKind: string;
    readonly plural: string;
    readonly singular: string;
    readonly shortNames: readonly string[];
    readonly categories: readonly string[];
  };
  readonly versions: readonly [DefinitionVersion];
}

/** One version of a kind. */
interface DefinitionVersion {
  readonly name: string;
  readonly served: true;
  readonly storage: true;
  readonly additionalPrinterColumns: readonly object[];
  readonly subresources: object;
  readonly schema: { readonly openAPIV3Schema: StructuralSchema };
}

/** What a cluster keeps as it is written; each has its reason. */
const OPEN_FIELDS: ReadonlySet<string> = new Set([
  // A pod has hundreds of fields, more with every Kubernetes; the API server checks them when the Deployment is made.
  "TaskQueue.spec.workers.podTemplate.spec",
  "TaskQueue.spec.workers.podTemplate.spec.containers[]",
  "TaskQueue.spec.workers.podTemplate.spec.containers[].securityContext",
  "TaskQueue.spec.workers.podTemplate.spec.initContainers[]",
  "TaskQueue.spec.workers.podTemplate.spec.initContainers[].securityContext",
  "TaskQueue.spec.workers.affinity",
  // Values of the user's own programs; their size is checked by `memflow dev` and the operator.
  "TaskQueue.spec.versioning.rollout.gate.input",
  "Workflow.spec.input.schema",
  "Workflow.spec.output.schema",
  "Workflow.spec.defaultArgs[]",
  "Schedule.spec.args[]",
]);

/**
 * Makes the definition of a kind.
 *
 * @throws Error When the schema has a field that a cluster would refuse, or that nothing bounds.
 */
export function customResourceDefinition(definition: KindDefinition): CustomResourceDefinition {
  const spec: DefinitionSpec = {
    group: API_GROUP,
    scope: "Namespaced",
    names: {
      kind: definition.kind,
      listKind: `${definition.kind}List`,
      plural: definition.plural,
      singular: definition.singular,
      shortNames: definition.shortNames,
      categories: [CATEGORY],
    },
    versions: [
      {
        name: VERSION_NAME,
        served: true,
        storage: true,
        additionalPrinterColumns: definition.printerColumns.map(printerColumn),
        subresources: { status: {}, ...(definition.scale === undefined ? {} : { scale: definition.scale }) },
        schema: { openAPIV3Schema: rootSchema(definition) },
      },
    ],
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${definition.plural}.${API_GROUP}`,
      annotations: { [SCHEMA_HASH_ANNOTATION]: hashOf(spec) },
      labels: { "app.kubernetes.io/name": "memflow-crds", "app.kubernetes.io/part-of": "memflow" },
    },
    spec,
  };
}

/** The schema of the whole resource: what a cluster adds around spec and status, and the rules of the root. */
function rootSchema(definition: KindDefinition): StructuralSchema {
  const { kind, description } = definition;
  const spec = { description: `What is asked for.`, ...structuralSchema(definition.spec) };
  const status = {
    description: `What the operator observed and did.`,
    ...structuralSchema(definition.status),
  };
  const faults = [
    ...findSchemaFaults(spec, `${kind}.spec`, OPEN_FIELDS),
    ...findSchemaFaults(status, `${kind}.status`, OPEN_FIELDS),
  ];
  if (faults.length > 0) throw new Error(`the schema of ${kind} would be refused:\n${faults.join("\n")}`);
  return {
    description,
    type: "object",
    required: ["spec"],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec,
      status,
    },
    "x-kubernetes-validations": validationRules(rulesOf(definition.schema)),
  };
}

function printerColumn(column: PrinterColumn): object {
  const { name, type, jsonPath, description, isWide } = column;
  return { name, type, jsonPath, description, ...(isWide === true ? { priority: 1 } : {}) };
}

function hashOf(spec: DefinitionSpec): string {
  return createHash("sha256").update(JSON.stringify(spec)).digest("hex").slice(0, HASH_LENGTH);
}
