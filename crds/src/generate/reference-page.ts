/**
 * The reference page of the API: every kind, field, bound, default, rule, condition, reason and Event, from the source that
 * the cluster's definitions come from.
 */
import { API_VERSION } from "../fields.ts";
import type { KindDefinition } from "../kind-definition.ts";
import { listOperatorChecks, listRules } from "../schema-tree.ts";
import { structuralSchema } from "./structural-schema.ts";
import type { StructuralSchema } from "./structural-schema.ts";

/** The page as Markdown. */
export function referencePage(kinds: readonly KindDefinition[]): string {
  return [...INTRODUCTION, ...kinds.flatMap(kindSection)].join("\n");
}

const INTRODUCTION: readonly string[] = [
  "# Kubernetes API",
  "",
  "<!-- Written by `npm run generate` from crds/src; an edit here is lost. -->",
  "",
  `The kinds of \`${API_VERSION}\`. All live in a Kubernetes namespace and refer to others of the same one. \`kubectl get memflow\` lists`,
  "all of them. The definitions are in [crds/manifests](../crds/manifests) and, as a chart that keeps them when it is uninstalled, in",
  "[charts/memflow-crds](../charts/memflow-crds).",
  "",
  "`memflow dev` checks manifests by the same source: what it accepts a cluster accepts, in the same words where a rule is ours. An unknown",
  "field is refused by name (on a cluster by `kubectl apply`, which asks for strict validation).",
  "",
  "- A duration is a text like `250ms`, `30s` or `1h30m`: hours, minutes, seconds, milliseconds, in this order. A time is one like",
  "  `2026-11-23T07:00:00Z`.",
  "- YAML 1.1 reads a bare `yes`, `no`, `on`, `off`, `y` and `n` as true and false: quote them where a text is meant.",
  "- The operator never writes a spec. A status can be lost: it is made anew from the database and the cluster.",
  "- Reasons of conditions and Events are part of the API: they are added, never renamed.",
  "",
];

function kindSection(definition: KindDefinition): string[] {
  const { kind, description, plural, shortNames, printerColumns } = definition;
  return [
    `## ${kind}`,
    "",
    description,
    "",
    `\`kubectl get ${plural}\`, short ${shortNames.map((name) => `\`${name}\``).join(", ")}.` +
      (definition.scale === undefined
        ? ""
        : ` \`kubectl scale\` and autoscalers write \`${definition.scale.specReplicasPath.slice(1)}\`.`),
    "",
    ...table(
      ["column", "shows"],
      printerColumns.map((column) => [
        column.isWide === true ? `${column.name} (\`-o wide\`)` : column.name,
        column.description,
      ]),
    ),
    `### Spec of ${kind}`,
    "",
    ...table(
      ["field", "is", "default", "meaning"],
      fieldRows(structuralSchema(definition.spec), "spec", false),
    ),
    `### Rules of ${kind}`,
    "",
    'A field marked "update" is compared with what stood there before.',
    "",
    ...table(["field", "rule", "when"], ruleRows(definition)),
    ...operatorCheckSection(definition),
    `### Status of ${kind}`,
    "",
    ...table(
      ["field", "is", "meaning"],
      fieldRows(structuralSchema(definition.status), "status", true).map(([field, is, , meaning]) => [
        field ?? "",
        is ?? "",
        meaning ?? "",
      ]),
    ),
    `### Conditions of ${kind}`,
    "",
    ...table(
      ["condition", "reason", "meaning"],
      Object.entries(definition.conditions).flatMap(([type, { meaning, reasons }]) => [
        [`**${type}**`, "", meaning],
        ...Object.entries(reasons).map(([reason, text]) => ["", `\`${reason}\``, text]),
      ]),
    ),
    `### Events of ${kind}`,
    "",
    ...table(
      ["reason", "what happened"],
      Object.entries(definition.events).map(([reason, text]) => [`\`${reason}\``, text]),
    ),
    `### Annotations of ${kind}`,
    "",
    ...table(
      ["annotation", "meaning"],
      Object.entries(definition.annotations).map(([name, text]) => [`\`${name}\``, text]),
    ),
  ];
}

function ruleRows(definition: KindDefinition): string[][] {
  return listRules(definition.schema)
    .filter(({ path }) => path === "" || path.startsWith("spec"))
    .map(({ path, rule }) => [
      code([path, ...(rule.field ?? [])].filter((step) => step !== "").join(".")),
      rule.message,
      rule.isTransition === true ? "update" : "always",
    ]);
}

function operatorCheckSection(definition: KindDefinition): string[] {
  const checks = listOperatorChecks(definition.schema);
  if (checks.length === 0) return [];
  return [
    "What an API server can't check, `memflow dev` refuses and the operator reports in a condition:",
    "",
    ...table(
      ["field", "rule", "condition", "reason"],
      checks.map(({ path, check }) => [code(path), check.message, check.condition, `\`${check.reason}\``]),
    ),
  ];
}

/** One row per field, parents before children. */
function fieldRows(schema: StructuralSchema, path: string, isStatus: boolean): string[][] {
  const required = schema.required ?? [];
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const childPath = `${path}.${name}`;
    const fallback = required.includes(name) && !isStatus ? "required" : defaultText(child);
    return [
      [code(childPath), typeText(child), fallback, child.description ?? ""],
      ...nestedRows(child, childPath, isStatus),
    ];
  });
}

function nestedRows(schema: StructuralSchema, path: string, isStatus: boolean): string[][] {
  if (schema.items !== undefined) return nestedRows(schema.items, `${path}[]`, isStatus);
  if (schema.additionalProperties !== undefined) {
    return nestedRows(schema.additionalProperties, `${path}{}`, isStatus);
  }
  return fieldRows(schema, path, isStatus);
}

/** A default of a map is that of its fields, which have rows of their own. */
function defaultText({ default: value }: StructuralSchema): string {
  if (value === undefined || (typeof value === "object" && !Array.isArray(value))) return "";
  return code(typeof value === "string" ? value : JSON.stringify(value));
}

function typeText(schema: StructuralSchema): string {
  if (schema["x-kubernetes-int-or-string"] === true)
    return `number or text of up to ${schema.maxLength} characters`;
  switch (schema.type) {
    case "object":
      return objectText(schema);
    case "array": {
      const least = schema.minItems === undefined ? "up to" : `${schema.minItems} to`;
      return `list of ${least} ${schema.maxItems}${itemText(schema.items)}`;
    }
    case "string":
      return stringText(schema);
    case "integer":
      return schema.maximum === Number.MAX_SAFE_INTEGER
        ? "whole number"
        : `whole number, ${schema.minimum} to ${schema.maximum}`;
    case "number":
      return `number, ${schema.minimum} to ${schema.maximum}`;
    case "boolean":
      return "true or false";
    default:
      return "any value";
  }
}

function objectText(schema: StructuralSchema): string {
  if (schema.additionalProperties !== undefined) {
    return `map of up to ${schema.maxProperties}${itemText(schema.additionalProperties)}`;
  }
  return schema["x-kubernetes-preserve-unknown-fields"] === true ? "map, kept as written" : "map";
}

function itemText(schema: StructuralSchema | undefined): string {
  return schema === undefined || schema.type === "object" ? "" : `: ${typeText(schema)}`;
}

function stringText(schema: StructuralSchema): string {
  if (schema.enum !== undefined) return schema.enum.map(code).join(", ");
  if (schema.format === "date-time") return "time";
  return `text, ${schema.minLength ?? 0} to ${schema.maxLength} characters`;
}

function code(text: string): string {
  return text === "" ? "" : `\`${text}\``;
}

/** A table with an empty line behind it; nothing when there is no row. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return ["None.", ""];
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", String.raw`\|`)).join(" | ")} |`;
  return [line(head), `| ${head.map(() => "---").join(" | ")} |`, ...rows.map(line), ""];
}
