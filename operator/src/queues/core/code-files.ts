/**
 * Inline code as the files that workers see: of a ConfigMap, or of the queue's Workflows.
 *
 * Workflows bring a folder each, so that two of them may have files of the same name; a generated module for each Workflow in
 * `workflows/` is what the worker loads.
 */
import type { TaskQueueSpec, Workflow } from "@memflow/crds";

/** Files that are mounted. */
export interface CodeFiles {
  /** Text by path. */
  readonly files: Readonly<Record<string, string>>;
  /** What the worker loads: a path below the mounted folder, or that folder itself when empty. */
  readonly module: string;
}

/** The files, or why there are none. */
export type FoundCode =
  | { readonly kind: "Found"; readonly code: CodeFiles }
  | {
      readonly kind: "Missing";
      readonly reason: "ConfigMapNotFound" | "EntrypointNotFound" | "NoInlineCode";
      readonly message: string;
    };

type InlineSource = NonNullable<TaskQueueSpec["workers"]["source"]["code"]>;

/**
 * The code of a ConfigMap.
 *
 * @param data - Of the ConfigMap; undefined when there is none.
 */
export function codeOfConfigMap(
  { configMapRef, entrypoint }: InlineSource,
  data: Readonly<Record<string, string>> | undefined,
): FoundCode {
  const name = configMapRef?.name ?? "";
  if (data === undefined) {
    const message = `ConfigMap "${name}" is not there: create it in this Kubernetes namespace`;
    return { kind: "Missing", reason: "ConfigMapNotFound", message };
  }
  if (!Object.hasOwn(data, entrypoint)) {
    const files = Object.keys(data).toSorted().join(", ");
    const message = `ConfigMap "${name}" has no file "${entrypoint}" (it has: ${files}): add it, or set source.code.entrypoint`;
    return { kind: "Missing", reason: "EntrypointNotFound", message };
  }
  return { kind: "Found", code: { files: data, module: entrypoint } };
}

/** The code of those Workflows of a queue that have any. */
export function codeOfWorkflows(workflows: readonly Workflow[]): FoundCode {
  const files: Record<string, string> = {};
  const named = workflows.toSorted((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1));
  for (const { metadata, spec } of named) {
    if (spec.code === undefined) continue;
    const { name } = metadata;
    for (const [file, text] of Object.entries(spec.code.files)) files[`${name}/${file}`] = text;
    files[`workflows/${name}.mjs`] = `export * from "../${name}/${spec.code.entrypoint}";\n`;
  }
  if (Object.keys(files).length === 0) {
    const message =
      "source.code names no ConfigMap, and no Workflow of the queue has spec.code: add one of them";
    return { kind: "Missing", reason: "NoInlineCode", message };
  }
  return { kind: "Found", code: { files, module: "" } };
}
