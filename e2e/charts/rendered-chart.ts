/** What Helm makes of the chart, read back as objects. */
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

export const CHART: string = fileURLToPath(new URL("../../charts/memflow", import.meta.url));

/** As much of a rendered object as tests look at. */
export interface RenderedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly rules?: readonly PolicyRule[];
  readonly spec?: {
    readonly template?: PodTemplate;
    readonly containers?: readonly Container[];
    readonly volumes?: readonly object[];
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
  };
}

/** A rule of a role. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface PodTemplate {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
  readonly spec: { readonly containers: readonly Container[]; readonly volumes?: readonly object[] };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly securityContext?: { readonly readOnlyRootFilesystem?: boolean };
  readonly resources?: { readonly limits?: Readonly<Record<string, string>> };
}

/** Reads the output of `helm template`. */
export function readObjects(output: string): readonly RenderedObject[] {
  return parseAllDocuments(output)
    .map((document) => document.toJS() as RenderedObject | null)
    .filter((object) => object !== null);
}

/** The pods that objects make, each as a Pod object. */
export function podsOf(
  objects: readonly RenderedObject[],
): readonly (RenderedObject & { readonly spec: PodTemplate["spec"] })[] {
  return objects.flatMap((object) => {
    const spec = object.kind === "Pod" ? object.spec : object.spec?.template?.spec;
    if (spec?.containers === undefined) return [];
    const metadata = { name: object.metadata.name, labels: object.spec?.template?.metadata?.labels ?? {} };
    // As the controller of a StatefulSet does, which puts a claim in the place.
    const claimed = object.spec?.volumeClaimTemplates ?? [];
    const volumes = claimed.map(({ metadata: { name } }) => ({ name, emptyDir: {} }));
    const full = { ...spec, containers: spec.containers, volumes: [...(spec.volumes ?? []), ...volumes] };
    return [{ apiVersion: "v1", kind: "Pod", metadata, spec: full }];
  });
}

/** Rows of a table of rights: resources and verbs, as docs/security.md writes them. */
export function rightsOf(rules: readonly PolicyRule[]): readonly string[] {
  return rules
    .map(({ apiGroups, resources, verbs }) => {
      const groups = apiGroups.map((group) => (group === "" ? "core" : group)).join(", ");
      return `${groups} | ${resources.join(", ")} | ${verbs.join(" ")}`;
    })
    .toSorted();
}

/** The rights that a page lists below a heading, in the same form. */
export function readRights(page: string, heading: string): readonly string[] {
  const [, section = ""] = page.split(`### ${heading}\n`);
  const [table = ""] = section.split(/^#/mu);
  return table
    .split("\n")
    .filter((line) => line.startsWith("|") && !/^\|[\s-]*\|/u.test(line) && !line.startsWith("| group"))
    .map((line) =>
      line
        .split("|")
        .slice(1, 4)
        .map((cell) => cell.trim())
        .join(" | "),
    )
    .toSorted();
}
