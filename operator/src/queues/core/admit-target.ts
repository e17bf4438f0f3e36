/** Whether a new build may be made beside those that are there. */
import type { Version } from "./rollout-facts.ts";

/** The answer. */
export type Admission =
  /** `evicted`: drained builds that go before their time, to make room. */
  | { readonly kind: "Admitted"; readonly evicted: readonly string[] }
  | { readonly kind: "TooManyBuilds"; readonly message: string };

/**
 * Admits a build.
 *
 * @param versions - The builds of the queue in their phases.
 * @param draining - How many old builds there may be.
 */
export function admitTarget(
  versions: readonly Version[],
  { targetBuildId, maxVersions }: { readonly targetBuildId: string; readonly maxVersions: number },
): Admission {
  if (versions.some(({ buildId }) => buildId === targetBuildId)) return { kind: "Admitted", evicted: [] };
  const old = versions.filter(({ phase }) => phase !== "Current");
  const excessCount = old.length - maxVersions + 1;
  if (excessCount <= 0) return { kind: "Admitted", evicted: [] };
  const drained = old
    .filter(({ phase }) => phase === "Drained")
    .toSorted((left, right) => left.sinceMs - right.sinceMs);
  if (drained.length >= excessCount) {
    return { kind: "Admitted", evicted: drained.slice(0, excessCount).map(({ buildId }) => buildId) };
  }
  const names = old.filter(({ phase }) => phase !== "Drained").map(({ buildId }) => `"${buildId}"`);
  const message = `build "${targetBuildId}" waits: ${names.join(", ")} still have open runs, and draining.maxVersions is ${maxVersions}; wait, end their runs, or raise it`;
  return { kind: "TooManyBuilds", message };
}
