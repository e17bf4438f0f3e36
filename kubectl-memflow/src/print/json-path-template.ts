/**
 * kubectl's JSONPath templates: text, expressions in braces, quoted texts, and `{range ...}{end}`.
 *
 * Expressions themselves are jsonpath-plus's, with its evaluator that runs no code. Values print as kubectl prints them: texts as
 * they are, several with a space between, everything else as JSON.
 *
 * @see https://kubernetes.io/docs/reference/kubectl/jsonpath/
 */
import { JSONPath } from "jsonpath-plus";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "range"; readonly path: string; readonly body: readonly Node[] };

const DEPTH_MAX = 10;

/**
 * Fills a template in.
 *
 * @throws {CommandError} With exit code 2 when the template is wrong.
 */
export function fillTemplate(template: string, value: unknown): string {
  const parts = splitTemplate(template);
  const { nodes, rest } = parseNodes(parts, 0);
  if (rest.length > 0) throw wrong(template, "{end} without {range}");
  try {
    return nodes.map((node) => fillNode(node, value)).join("");
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw wrong(template, error instanceof Error ? error.message : String(error));
  }
}

/** Texts and the insides of braces; a brace inside quotes is text. */
function splitTemplate(template: string): readonly Node[] {
  const parts: Node[] = [];
  const pattern = /\{((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^{}"'])*)\}|([^{}]+)|([{}])/gu;
  for (const [, inside, text, stray] of template.matchAll(pattern)) {
    if (stray !== undefined) throw wrong(template, `a "${stray}" has no other half`);
    parts.push(text === undefined ? { kind: "path", path: (inside ?? "").trim() } : { kind: "text", text });
  }
  return parts;
}

function parseNodes(
  parts: readonly Node[],
  depth: number,
): { readonly nodes: readonly Node[]; readonly rest: readonly Node[] } {
  if (depth > DEPTH_MAX) throw wrong("{range}", `more than ${DEPTH_MAX} inside each other`);
  const nodes: Node[] = [];
  let rest = parts;
  for (;;) {
    const [part, ...others] = rest;
    if (part === undefined) {
      if (depth > 0) throw wrong("{range}", "{end} is missing");
      return { nodes, rest };
    }
    if (part.kind === "path" && part.path === "end") return { nodes, rest: depth > 0 ? others : rest };
    rest = others;
    if (part.kind === "path" && part.path.startsWith("range ")) {
      const body = parseNodes(others, depth + 1);
      nodes.push({ kind: "range", path: part.path.slice("range ".length).trim(), body: body.nodes });
      rest = body.rest;
    } else {
      nodes.push(part);
    }
  }
}

function fillNode(node: Node, value: unknown): string {
  if (node.kind === "text") return node.text;
  if (node.kind === "range") {
    return find(node.path, value)
      .map((item) => node.body.map((inner) => fillNode(inner, item)).join(""))
      .join("");
  }
  const quoted = /^(["'])(.*)\1$/su.exec(node.path);
  if (quoted !== null) return unquote(quoted[2] ?? "");
  return find(node.path, value)
    .map((item) => (typeof item === "string" ? item : (JSON.stringify(item) ?? "")))
    .join(" ");
}

function find(path: string, value: unknown): readonly unknown[] {
  const own = path.replace(/^[@$]/u, "");
  const full =
    own === "" || own === "." ? "$" : `$${own.startsWith(".") || own.startsWith("[") ? own : `.${own}`}`;
  return JSONPath({ path: full, json: value as object, wrap: true, eval: "safe" }) as readonly unknown[];
}

function unquote(text: string): string {
  return text.replaceAll(/\\(.)/gsu, (_, character: string) =>
    character === "n" ? "\n" : character === "t" ? "\t" : character,
  );
}

function wrong(template: string, reason: string): CommandError {
  return new CommandError(
    EXIT_CODES.usage,
    `the JSONPath template ${template} is wrong: ${reason}; write it as in -o jsonpath='{.items[*].runId}'`,
  );
}
