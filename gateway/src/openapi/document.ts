/**
 * The OpenAPI 3.1 document of the API, made from the table of operations.
 *
 * Pure: the same table gives the same document. What is committed as `openapi.json`, what is served, and what the typed
 * client is made from are this.
 */
import { z } from "zod";
import { BODY_PROBLEMS, COMMON_PROBLEMS, OPERATIONS, problemSchema, PROBLEMS } from "../api/index.ts";
import type { Operation, OperationAnswer, ProblemCode } from "../api/index.ts";

/** A piece of JSON Schema 2020-12. */
export interface SchemaNode {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
}

/** A parameter of an operation. */
export interface ParameterNode {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description?: string;
  readonly style?: "form";
  readonly explode?: boolean;
  readonly schema: SchemaNode;
}

/** An answer of an operation. */
export interface ResponseNode {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly description: string; readonly schema: SchemaNode }>>;
  readonly content?: Readonly<Record<string, { readonly schema: SchemaNode }>>;
}

/** An operation of the document. */
export interface OperationNode {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly parameters: readonly ParameterNode[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<string, { readonly schema: SchemaNode }>>;
  };
  readonly responses: Readonly<Record<string, ResponseNode>>;
  /** The right that it needs. */
  readonly "x-memflow-access"?: { readonly resource: string; readonly verb: string; readonly object: string };
}

/** The document. */
export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationNode>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, SchemaNode>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
}

/** Version of the API: the first part of each path. */
const API_REVISION = "1.0.0";

/** Makes the document. */
export function openApiDocument(): OpenApiDocument {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, OperationNode>> = {};
  for (const operation of Object.values<Operation>(OPERATIONS)) {
    (paths[operation.path] ??= {})[operation.method] = operationNode(operation, schemas);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "MemFlow gateway",
      version: API_REVISION,
      description:
        "Starts and steers runs. Rights are Kubernetes RBAC on the objects that a call really touches: each operation names its own under x-memflow-access.",
    },
    security: [{ bearer: [] }],
    paths,
    components: {
      schemas: schemas.named(),
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "A Kubernetes token, or a static key." },
      },
    },
  };
}

/** Schemas with a name, found while others are converted. */
class Schemas {
  readonly #named = new Map<string, SchemaNode>();

  node(schema: z.ZodType, io: "input" | "output"): SchemaNode {
    const {
      $defs,
      $schema: _,
      ...node
    } = z.toJSONSchema(schema, {
      io,
      unrepresentable: "any",
      override: ({ jsonSchema }) => plain(jsonSchema, io),
    }) as SchemaNode & { $defs?: Record<string, SchemaNode>; $schema?: string };
    for (const [name, definition] of Object.entries($defs ?? {})) this.#named.set(name, pointed(definition));
    return pointed(node);
  }

  named(): Readonly<Record<string, SchemaNode>> {
    return Object.fromEntries([...this.#named].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  }
}

/** Takes out what zod adds and no reader needs; an answer may get members that are not known today. */
function plain(node: Record<string, unknown>, io: "input" | "output"): void {
  if (node["format"] === "date-time") delete node["pattern"];
  if (node["minimum"] === Number.MIN_SAFE_INTEGER) delete node["minimum"];
  if (node["maximum"] === Number.MAX_SAFE_INTEGER) delete node["maximum"];
  if (io === "output" && node["additionalProperties"] === false) delete node["additionalProperties"];
}

/** A copy whose references point into the document. */
function pointed<Node>(node: Node): Node {
  const text = JSON.stringify(node, (key: string, value: unknown) =>
    key === "$ref" && typeof value === "string" ? value.replace("#/$defs/", "#/components/schemas/") : value,
  );
  return JSON.parse(text) as Node;
}

function operationNode(operation: Operation, schemas: Schemas): OperationNode {
  const { operationId, tag, summary, description, body, access } = operation;
  return {
    operationId,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    parameters: [
      ...parametersOf(operation.params, "path", schemas),
      ...parametersOf(operation.query, "query", schemas),
      ...Object.entries(operation.headers ?? {}).map(([name, text]) => headerParameter(name, text)),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: operation.bodyOptional !== true,
            content: { "application/json": { schema: schemas.node(body, "input") } },
          },
        }),
    responses: {
      ...Object.fromEntries(
        Object.entries(operation.answers).map(([status, answer]) => [status, answerNode(answer, schemas)]),
      ),
      ...problemNodes(problemsOf(operation), schemas),
    },
    ...(access === undefined ? {} : { "x-memflow-access": access }),
  };
}

/** Every problem that an operation may answer with. */
export function problemsOf(operation: Operation): readonly ProblemCode[] {
  return [...COMMON_PROBLEMS, ...(operation.body === undefined ? [] : BODY_PROBLEMS), ...operation.problems];
}

function parametersOf(object: z.ZodObject, place: "path" | "query", schemas: Schemas): ParameterNode[] {
  const { properties = {}, required = [] } = schemas.node(object, "input");
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    ...(description === undefined ? {} : { description }),
    // Each member of the object is a parameter of its own.
    ...(schema.type === "object" ? { style: "form" as const, explode: true } : {}),
    schema,
  }));
}

const HEADER_TEXT = { type: "string" } as const;
/** A key as Postgres and logs can have it. */
const IDEMPOTENCY_KEY_SCHEMA = { type: "string", pattern: "^[!-~]{1,255}$" } as const;
const EVENT_NUMBER_SCHEMA = { type: "string", pattern: "^[0-9]{1,9}$" } as const;

function headerParameter(name: string, description: string): ParameterNode {
  const schema =
    name === "Idempotency-Key"
      ? IDEMPOTENCY_KEY_SCHEMA
      : name === "Last-Event-ID"
        ? EVENT_NUMBER_SCHEMA
        : HEADER_TEXT;
  return { name, in: "header", required: false, description, schema };
}

function answerNode(answer: OperationAnswer, schemas: Schemas): ResponseNode {
  const { description, schema, headers, streams = {} } = answer;
  return {
    description,
    ...(headers === undefined
      ? {}
      : {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, header]) => [name, { ...header, schema: HEADER_TEXT }]),
          ),
        }),
    ...(schema === undefined
      ? {}
      : {
          content: {
            "application/json": { schema: schemas.node(schema, "output") },
            ...Object.fromEntries(
              Object.entries(streams).map(([type, text]) => [
                type,
                { schema: { ...HEADER_TEXT, description: text } },
              ]),
            ),
          },
        }),
  };
}

function problemNodes(codes: readonly ProblemCode[], schemas: Schemas): Record<string, ResponseNode> {
  const schema = schemas.node(problemSchema, "output");
  const byStatus = Map.groupBy(codes, (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => [
      status,
      {
        description: ofStatus.map((code) => `${code}: ${PROBLEMS[code].title}.`).join(" "),
        content: { "application/problem+json": { schema } },
      },
    ]),
  );
}
