/** Paths that answers name. */
import type { StoreEntry } from "../stores/index.ts";

/** The path of a run; the Store is named, since there may be more of them tomorrow. */
export function runPath({ namespace, name }: StoreEntry, runId: string): string {
  return `/v1/namespaces/${namespace}/runs/${runId}?store=${name}`;
}
