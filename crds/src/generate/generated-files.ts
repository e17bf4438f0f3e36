/** Every file that is written from the source of the kinds, with its place in the workspace. */
import { stringify } from "yaml";
import type { KindDefinition } from "../kind-definition.ts";
import { customResourceDefinition } from "./custom-resource-definition.ts";
import type { CustomResourceDefinition } from "./custom-resource-definition.ts";
import { referencePage } from "./reference-page.ts";

/** A file by its path from the root of the workspace, with forward slashes. */
export interface GeneratedFile {
  readonly path: string;
  readonly text: string;
}

/** Folders in which every YAML file is generated; another one there is left over from a kind that is gone. */
export const GENERATED_FOLDERS: readonly string[] = ["crds/manifests", "charts/memflow-crds/templates"];

const HEADER = "# Written by `npm run generate` from crds/src; an edit here is lost.\n";
const LINE_WIDTH = 120;

/** The files as they have to be. */
export function generatedFiles(kinds: readonly KindDefinition[]): GeneratedFile[] {
  const definitions = kinds.map((kind) => {
    const definition = customResourceDefinition(kind);
    const name = `${kebabCase(kind.kind)}.yaml`;
    return [
      { path: `crds/manifests/${name}`, text: toYaml(definition) },
      { path: `charts/memflow-crds/templates/${name}`, text: toTemplate(definition) },
    ];
  });
  return [
    ...definitions.flat(),
    { path: "docs/kubernetes-api.md", text: `${referencePage(kinds).trimEnd()}\n` },
  ];
}

/** Helm leaves the definition in the cluster when the chart goes, for with it would go every object of its kind. */
function toTemplate(definition: CustomResourceDefinition): string {
  const { metadata } = definition;
  const annotations = { ...metadata.annotations, "helm.sh/resource-policy": "keep" };
  const text = toYaml({ ...definition, metadata: { ...metadata, annotations } });
  if (text.includes("{{")) {
    throw new Error(
      `${metadata.name} has "{{" in a text, which Helm would read as its own: write it without`,
    );
  }
  return text;
}

/** YAML 1.1, as a cluster reads it, so that a text like "on" is quoted. */
function toYaml(definition: CustomResourceDefinition): string {
  const options = { version: "1.1", lineWidth: LINE_WIDTH, aliasDuplicateObjects: false } as const;
  return HEADER + stringify(definition, options);
}

function kebabCase(name: string): string {
  return name.replaceAll(/(?<=[a-z])[A-Z]/gu, (letter) => `-${letter}`).toLowerCase();
}
