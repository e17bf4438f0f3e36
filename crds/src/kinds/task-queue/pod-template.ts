/**
 * `spec.workers.podTemplate`: what a worker pod has besides what MemFlow gives it.
 *
 * Kept as written, but for what Pod Security `restricted` forbids: whoever may make a TaskQueue must not gain the node by it.
 */
import { z } from "zod";
import { labels, text } from "../../fields.ts";
import { withRules } from "../../rules.ts";

const CONTAINERS_MAX = 20;

const securityContext = z
  .looseObject({
    privileged: z.boolean().optional().describe("Must be false."),
    allowPrivilegeEscalation: z.boolean().optional().describe("Must be false."),
  })
  .optional()
  .describe("As in a pod.");

const container = withRules(
  z.looseObject({
    name: text(63).describe("Name; `worker` is MemFlow's own container, to which the rest is added."),
    securityContext,
  }),
  [
    {
      cel:
        "!has(self.securityContext) || ((!has(self.securityContext.privileged) || !self.securityContext.privileged) && " +
        "(!has(self.securityContext.allowPrivilegeEscalation) || !self.securityContext.allowPrivilegeEscalation))",
      message:
        "must not ask for privileged or allowPrivilegeEscalation: workers run under Pod Security restricted",
      field: ["securityContext"],
      holds: ({ securityContext: context }) =>
        context?.privileged !== true && context?.allowPrivilegeEscalation !== true,
    },
  ],
);

const podSpec = withRules(
  z.looseObject({
    hostNetwork: z.boolean().optional().describe("Must be false."),
    hostPID: z.boolean().optional().describe("Must be false."),
    hostIPC: z.boolean().optional().describe("Must be false."),
    containers: z.array(container).max(CONTAINERS_MAX).optional().describe("Containers, told apart by name."),
    initContainers: z.array(container).max(CONTAINERS_MAX).optional().describe("Run before the worker."),
  }),
  [
    {
      cel:
        "(!has(self.hostNetwork) || !self.hostNetwork) && (!has(self.hostPID) || !self.hostPID) && " +
        "(!has(self.hostIPC) || !self.hostIPC)",
      message: "must not ask for hostNetwork, hostPID or hostIPC: workers run under Pod Security restricted",
      holds: (self) => self.hostNetwork !== true && self.hostPID !== true && self.hostIPC !== true,
    },
  ],
);

/** The whole of `spec.workers.podTemplate`. */
export const podTemplate = z.strictObject({
  metadata: z
    .strictObject({
      labels: labels.optional().describe("Labels of the pods, besides MemFlow's."),
      annotations: labels.optional().describe("Annotations of the pods."),
    })
    .optional()
    .describe("Labels and annotations of the pods."),
  spec: podSpec.optional().describe("Fields of a pod's spec; merged over MemFlow's restricted defaults."),
});
