/**
 * What makes a build: all that the user wrote of how workers run, and the content of inline code.
 *
 * Credentials, the operator's version and its own worker image are not in it: an upgrade of the operator, or a new password,
 * makes no new build. Whoever adds a field to `spec.workers` leaves it out here while it has its default: objects that were
 * stored before show the default too, and must keep their build.
 */
import type { TaskQueueSpec } from "@memflow/crds";
import { canonicalJson } from "./canonical-json.ts";
import type { CodeFiles } from "./code-files.ts";

/** With strategy InPlace there is one Deployment, and so one name for whatever it runs. */
export const IN_PLACE_BUILD_ID = "in-place";

/** @returns A text that is the same exactly as long as the same pods are asked for. */
export function buildFingerprint(workers: TaskQueueSpec["workers"], code: CodeFiles | undefined): string {
  const { source, concurrency, env, envFrom, resources, serviceAccountName } = workers;
  const { nodeSelector, tolerations, affinity, topologySpreadConstraints, podTemplate, drain } = workers;
  return canonicalJson({
    source,
    code,
    concurrency,
    env,
    envFrom,
    resources,
    serviceAccountName,
    nodeSelector,
    tolerations,
    affinity,
    topologySpreadConstraints,
    podTemplate,
    drain,
  });
}
