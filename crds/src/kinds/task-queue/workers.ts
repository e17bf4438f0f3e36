/** `spec.workers` of a TaskQueue: the code, what it may use, how a worker stops. */
import { z } from "zod";
import { duration } from "../../durations.ts";
import {
  integer,
  keyRef,
  LABEL_KEYS,
  LABEL_MAX,
  listByKey,
  mapOf,
  NAME_MAX,
  objectName,
  objectRef,
  openMap,
  text,
  weightCheck,
} from "../../fields.ts";
import { formedText } from "../../patterns.ts";
import { exactlyOneOf, withOperatorChecks, withRules } from "../../rules.ts";
import { podTemplate } from "./pod-template.ts";

const IMAGE_MAX = 1_024;
const SLOTS_MAX = 100_000;

const pullPolicy = z
  .enum(["Always", "IfNotPresent", "Never"])
  .optional()
  .describe("When a node pulls the image (Kubernetes' own default when left out).");
const pullSecrets = z.array(objectRef).max(10).optional().describe("Secrets of the image's registry.");

const image = z.strictObject({
  ref: text(IMAGE_MAX).describe("Image with the workflows, best by digest."),
  pullPolicy,
  pullSecrets,
});

const fileName = formedText({
  max: NAME_MAX,
  pattern: /^[A-Za-z0-9][-A-Za-z0-9._]*$/u,
  message: 'must be a file name of letters, digits, "-", "_" and "."',
});

const code = z.strictObject({
  configMapRef: objectRef
    .optional()
    .describe("ConfigMap with the sources; those of the queue's Workflows (spec.code) when left out."),
  entrypoint: fileName
    .default("index.mjs")
    .describe(
      "File in the ConfigMap that exports the workflows; activities that are called by name alone are in an activities file beside it.",
    ),
  runtimeImage: text(IMAGE_MAX)
    .optional()
    .describe("Image that runs it (the operator's worker image when left out)."),
});

const absolutePath = formedText({
  max: IMAGE_MAX,
  pattern: /^[/][^:]*$/u,
  message: 'must be an absolute path without ":"',
});

const artifact = z.strictObject({
  image: text(IMAGE_MAX).describe(
    "OCI image that is mounted as a volume; the cluster must have image volumes.",
  ),
  path: absolutePath.default("/app").describe("Folder with the code in that image."),
  pullPolicy,
  pullSecrets,
  runtimeImage: text(IMAGE_MAX)
    .optional()
    .describe("Image that runs it (the operator's worker image when left out)."),
});

const source = withRules(
  z.strictObject({
    image: image.optional().describe("The code is in an image of its own, made from MemFlow's worker image."),
    code: code.optional().describe("The code is inline, for a first try."),
    artifact: artifact.optional().describe("The code is in an image that is mounted."),
  }),
  [exactlyOneOf(["image", "code", "artifact"])],
);

const valueFrom = withRules(
  z.strictObject({
    secretKeyRef: keyRef.optional().describe("Key of a Secret."),
    configMapKeyRef: keyRef.optional().describe("Key of a ConfigMap."),
    fieldRef: z
      .strictObject({ fieldPath: text(NAME_MAX).describe("As in a pod: metadata.name, spec.nodeName.") })
      .optional()
      .describe("Field of the pod."),
  }),
  [exactlyOneOf(["secretKeyRef", "configMapKeyRef", "fieldRef"])],
);

const variableName = formedText({
  max: NAME_MAX,
  pattern: /^[A-Za-z_][A-Za-z0-9_]*$/u,
  message: 'must be letters, digits and "_", and not begin with a digit',
});

const environmentVariable = withRules(
  z.strictObject({
    name: variableName.describe("Name of the variable."),
    value: z.string().max(32_768).optional().describe("Its value."),
    valueFrom: valueFrom.optional().describe("Where its value comes from."),
  }),
  [
    {
      cel: "!(has(self.value) && has(self.valueFrom))",
      message: "must not have both value and valueFrom",
      holds: (self) => self.value === undefined || self.valueFrom === undefined,
    },
  ],
);

const environmentSource = withRules(
  z.strictObject({
    prefix: variableName.optional().describe("Put before each name."),
    secretRef: objectRef.optional().describe("All keys of a Secret."),
    configMapRef: objectRef.optional().describe("All keys of a ConfigMap."),
  }),
  [exactlyOneOf(["secretRef", "configMapRef"])],
);

const QUANTITY_LENGTH_MAX = 32;
const QUANTITY_MESSAGE = 'must be a quantity like "250m", 2 or "512Mi"';
const QUANTITY = /^[0-9]+([.][0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/u;
/** Kubernetes takes a number or a text here. A text's form is OpenAPI's own pattern: no rule may run over a mixed type. */
const quantity = z
  .union([integer(0, 1_000_000), z.string().max(QUANTITY_LENGTH_MAX).regex(QUANTITY, QUANTITY_MESSAGE)], {
    error: QUANTITY_MESSAGE,
  })
  .meta({ "x-kubernetes-int-or-string": true, pattern: QUANTITY.source, maxLength: QUANTITY_LENGTH_MAX });

const quantities = mapOf({ value: quantity, entriesMax: 16, keys: LABEL_KEYS });
const resources = z.strictObject({
  requests: quantities.optional().describe("What is set aside: cpu, memory, or any resource of the cluster."),
  limits: quantities.optional().describe("What may not be passed."),
});

const toleration = z.strictObject({
  key: text(317).optional().describe("Key of the taint; every taint when left out."),
  operator: z.enum(["Equal", "Exists"]).default("Equal").describe("How the value is compared."),
  value: z.string().max(LABEL_MAX).optional().describe("Value of the taint."),
  effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).optional().describe("Effect of the taint."),
  tolerationSeconds: integer(0, 31_536_000)
    .optional()
    .describe("How long a NoExecute taint is tolerated, in seconds."),
});

const topologySpread = z.strictObject({
  maxSkew: integer(1, 1_000).default(1).describe("Most difference between two domains."),
  topologyKey: text(317).describe("Label of nodes that makes the domains."),
  whenUnsatisfiable: z
    .enum(["DoNotSchedule", "ScheduleAnyway"])
    .default("ScheduleAnyway")
    .describe("What happens when it can't be met."),
});

/** The whole of `spec.workers`. */
export const workers = z.strictObject({
  source: source.describe("Where the code comes from."),
  concurrency: z
    .strictObject({
      workflowTasks: integer(1, SLOTS_MAX)
        .default(100)
        .describe("Runs worked on at once per worker; those that only wait don't count."),
      activities: integer(1, SLOTS_MAX).default(100).describe("Activities at once per worker."),
    })
    .prefault({})
    .describe("How much one worker does at once."),
  env: listByKey(environmentVariable, "name", 100).default([]).describe("Environment of the workers."),
  envFrom: z.array(environmentSource).max(20).default([]).describe("Secrets and ConfigMaps as environment."),
  resources: resources.optional().describe("Resources of the worker container."),
  serviceAccountName: objectName
    .optional()
    .describe("Service account of the pods (one without rights when left out)."),
  nodeSelector: mapOf({ value: z.string().max(LABEL_MAX), entriesMax: 32, keys: LABEL_KEYS })
    .optional()
    .describe("Labels of the nodes."),
  tolerations: z.array(toleration).max(32).default([]).describe("Taints that are tolerated."),
  affinity: withOperatorChecks(openMap, [weightCheck("Progressing", "InvalidTemplate")])
    .optional()
    .describe("Affinity, as in a pod."),
  topologySpreadConstraints: z
    .array(topologySpread)
    .max(10)
    .default([])
    .describe("How pods of the queue are spread; the operator adds the selector."),
  podTemplate: podTemplate.optional().describe("Anything else of the pods."),
  drain: z
    .strictObject({
      timeout: duration("0s", "24h")
        .default("60s")
        .describe("How long activities in flight may finish when a worker stops; the pod's grace period."),
    })
    .prefault({})
    .describe("How a worker stops: it claims no more, finishes, and hands the rest over."),
  pdb: z
    .strictObject({
      enabled: z.boolean().default(true).describe("Whether there is one."),
      maxUnavailable: integer(1, 1_000).default(1).describe("Pods that may be evicted at once."),
    })
    .prefault({})
    .describe("PodDisruptionBudget of the workers."),
});
