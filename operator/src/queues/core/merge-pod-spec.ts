/**
 * Merges what a user says of a pod over what MemFlow says of it.
 *
 * Members are merged one by one; lists whose items have names, by these names, in Kubernetes' own way; any other list is
 * replaced. A member that is null takes the default away.
 *
 * @see https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
import { isRecord } from "./canonical-json.ts";

/** A part of a pod as JSON. */
export type PodPart = Readonly<Record<string, unknown>>;

/** Lists that are merged, each with the member that names an item. */
const ITEM_NAMES: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  volumes: "name",
  env: "name",
  imagePullSecrets: "name",
  ports: "containerPort",
  volumeMounts: "mountPath",
  volumeDevices: "devicePath",
  hostAliases: "ip",
  topologySpreadConstraints: "topologyKey",
};

/** Items of these are one choice of several: merged, they would be two choices at once. */
const WHOLE_ITEMS: readonly string[] = ["volumes", "env"];

/** @returns A new part: `over` merged over `base`. */
export function mergePodParts(base: PodPart, over: PodPart): PodPart {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    if (value === null) delete merged[name];
    else merged[name] = mergeMember(name, merged[name], value);
  }
  return merged;
}

function mergeMember(name: string, base: unknown, over: unknown): unknown {
  if (isRecord(base) && isRecord(over)) return mergePodParts(base, over);
  const itemName = ITEM_NAMES[name];
  if (itemName === undefined || !Array.isArray(base) || !Array.isArray(over)) return over;
  return mergeItems(base as PodPart[], over as PodPart[], {
    itemName,
    isWhole: WHOLE_ITEMS.includes(name),
  });
}

function mergeItems(
  base: readonly PodPart[],
  over: readonly PodPart[],
  { itemName, isWhole }: { readonly itemName: string; readonly isWhole: boolean },
): PodPart[] {
  const items = new Map(base.map((item) => [item[itemName], item]));
  for (const item of over) {
    const known = items.get(item[itemName]);
    items.set(item[itemName], known === undefined || isWhole ? item : mergePodParts(known, item));
  }
  return [...items.values()];
}
