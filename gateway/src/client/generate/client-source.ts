/**
 * Writes the typed client's part that follows from the OpenAPI document: the types of each operation's path, query, headers,
 * body and answers, and the table of its routes.
 *
 * Pure. Knows the part of JSON Schema that the document uses, and refuses any other.
 */
import type { OpenApiDocument, OperationNode, SchemaNode } from "../../openapi/document.ts";

const HEAD = `/** Made from openapi.json by \`npm run generate\`: the types of the API, and its routes. */
`;

/** Writes the module. */
export function clientSource(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, node]) => ({ path, method, node })),
  );
  const types = Object.entries(document.components.schemas).map(([name, schema]) => namedType(name, schema));
  const calls = operations.map(({ node }) => callType(node));
  const routes = operations.map(
    ({ path, method, node }) =>
      `  ${node.operationId}: { method: ${JSON.stringify(method.toUpperCase())}, path: ${JSON.stringify(path)} },\n`,
  );
  return [
    HEAD,
    ...types,
    `/** What each operation takes and answers. */\nexport interface Operations {\n${calls.join("")}}\n`,
    `/** Where each operation is. */\nexport const ROUTES = {\n${routes.join("")}} as const;\n`,
  ].join("\n");
}

function namedType(name: string, schema: SchemaNode): string {
  const doc = schema.description === undefined ? "" : `/** ${schema.description} */\n`;
  if (schema.properties === undefined) return `${doc}export type ${name} = ${typeText(schema, "")};\n`;
  return `${doc}export interface ${name} ${typeText(schema, "")}\n`;
}

function callType({ operationId, summary, parameters, requestBody, responses }: OperationNode): string {
  const members = (["path", "query", "header"] as const).map((place) => {
    const fields = parameters
      .filter((parameter) => parameter.in === place && parameter.explode !== true)
      .map(({ name, required, description, schema }) =>
        field({ name, type: typeText(schema, "      "), required, description, indent: "      " }),
      );
    // Parameters whose names are the caller's, such as search.<field>.
    const open = parameters.some((parameter) => parameter.in === place && parameter.explode === true)
      ? ["      readonly [name: `search.${string}`]: string | undefined;\n"]
      : [];
    const optional = parameters.some((parameter) => parameter.in === place && parameter.required) ? "" : "?";
    return fields.length + open.length === 0
      ? ""
      : `    readonly ${place}${optional}: {\n${fields.join("")}${open.join("")}    };\n`;
  });
  const body =
    requestBody === undefined
      ? ""
      : `    readonly body${requestBody.required ? "" : "?"}: ${contentType(requestBody.content)};\n`;
  const answers = Object.entries(responses)
    .filter(([status]) => Number(status) < 400)
    .map(
      ([status, { content }]) =>
        `{ readonly status: ${status}; readonly body: ${content === undefined ? "undefined" : contentType(content)} }`,
    );
  return `  /** ${summary} */\n  readonly ${operationId}: {\n${members.join("")}${body}    readonly answer: ${answers.join(" | ")};\n  };\n`;
}

function contentType(content: Readonly<Record<string, { readonly schema: SchemaNode }>>): string {
  const { schema } = content["application/json"] ?? {};
  if (schema === undefined) throw new Error("a body has no application/json form");
  return typeText(schema, "    ");
}

function typeText(schema: SchemaNode, indent: string): string {
  if (schema.$ref !== undefined) return schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf !== undefined)
    return [...new Set(schema.anyOf.map((member) => typeText(member, indent)))].join(" | ");
  if (Array.isArray(schema.type))
    return schema.type.map((type: string) => typeText({ ...schema, type }, indent)).join(" | ");
  switch (schema.type as string | undefined) {
    case undefined:
      return "unknown";
    case "string":
      return "string";
    case "number":
    case "integer":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array":
      return `readonly (${typeText(schema.items ?? {}, indent)})[]`;
    case "object":
      return objectText(schema, indent);
    default:
      throw new Error(`the client's types know no schema of type ${JSON.stringify(schema.type)}`);
  }
}

function objectText({ properties, required = [], additionalProperties }: SchemaNode, indent: string): string {
  const isOpen = typeof additionalProperties === "object";
  if (properties === undefined)
    return `{ readonly [key: string]: ${isOpen ? typeText(additionalProperties, indent) : "unknown"} }`;
  const inner = `${indent}  `;
  const fields = Object.entries(properties).map(([name, schema]) =>
    field({
      name,
      type: typeText(schema, inner),
      required: required.includes(name),
      description: schema.description,
      indent: inner,
    }),
  );
  const others = isOpen ? `${inner}readonly [key: string]: unknown;\n` : "";
  return `{\n${fields.join("")}${others}${indent}}`;
}

function field(options: {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly description: string | undefined;
  readonly indent: string;
}): string {
  const { name, type, required, description, indent } = options;
  const doc = description === undefined ? "" : `${indent}/** ${description} */\n`;
  const key = /^[A-Za-z_$][\w$]*$/u.test(name) ? name : JSON.stringify(name);
  return `${doc}${indent}readonly ${key}${required ? "" : "?"}: ${type}${required || type === "unknown" ? "" : " | undefined"};\n`;
}
