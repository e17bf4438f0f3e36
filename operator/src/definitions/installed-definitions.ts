/**
 * Looks whether the cluster has the definitions of our kinds, and whether it knows every field that this operator writes.
 *
 * Promises to tell an older definition from a newer one: with a newer one the operator works, with an older one the server would
 * refuse statuses and drop fields of manifests without a word. It only reads.
 */
import { customResourceDefinition, KINDS, SCHEMA_HASH_ANNOTATION, VERSION_NAME } from "@memflow/crds";
import type { CustomResourceDefinition, KindDefinition } from "@memflow/crds";
import { CUSTOM_RESOURCE_DEFINITIONS, ForbiddenError } from "../kube/index.ts";
import type { CustomResourceDefinitionObject, KubeClient } from "../kube/index.ts";
import { lackingFields } from "./core/lacking-fields.ts";
import type { FieldSchema } from "./core/lacking-fields.ts";

/** What was found. */
export type DefinitionsState =
  | { readonly kind: "Fit" }
  /** The role may not read definitions: nobody can say. */
  | { readonly kind: "Unknown"; readonly message: string }
  /** Nothing can be done before somebody installs them. */
  | { readonly kind: "Lacking"; readonly message: string };

/** Fields that a message names. */
const NAMED_FIELDS_MAX = 3;
/** What installs and renews them. */
const REMEDY =
  "helm upgrade --install memflow-crds oci://ghcr.io/memflow/charts/memflow-crds, or kubectl apply --server-side -f crds/manifests/";

/** Looks now. */
export async function inspectDefinitions(
  client: KubeClient,
  signal?: AbortSignal,
): Promise<DefinitionsState> {
  try {
    const faults: string[] = [];
    for (const kind of KINDS) {
      const fault = await faultOf(client, kind, signal);
      if (fault !== undefined) faults.push(fault);
    }
    if (faults.length === 0) return { kind: "Fit" };
    return { kind: "Lacking", message: `${faults.join("; ")}. Run: ${REMEDY}` };
  } catch (error) {
    if (error instanceof ForbiddenError) return { kind: "Unknown", message: error.message };
    throw error;
  }
}

async function faultOf(
  client: KubeClient,
  kind: KindDefinition,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const ours = customResourceDefinition(kind);
  const { name } = ours.metadata;
  const installed = await client.find(CUSTOM_RESOURCE_DEFINITIONS, { name }, { signal });
  if (!installed) return `the definition "${name}" is not installed`;
  const hash = installed.metadata?.annotations?.[SCHEMA_HASH_ANNOTATION];
  if (hash === ours.metadata.annotations[SCHEMA_HASH_ANNOTATION]) return undefined;
  const lacking = lackingFields(schemaOf(installed), schemaOf(ours) ?? {});
  if (lacking.length === 0) return undefined;
  const named = lacking.slice(0, NAMED_FIELDS_MAX).join(", ");
  const more = lacking.length > NAMED_FIELDS_MAX ? ` and ${lacking.length - NAMED_FIELDS_MAX} more` : "";
  return `the definition "${name}" is of another version and lacks ${named}${more}`;
}

function schemaOf(
  definition: CustomResourceDefinitionObject | CustomResourceDefinition,
): FieldSchema | undefined {
  const version = definition.spec.versions.find(({ name }) => name === VERSION_NAME);
  return version?.schema?.openAPIV3Schema as FieldSchema | undefined;
}
