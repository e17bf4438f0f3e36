/**
 * The pods of a build: Pod Security `restricted` to begin with, then what the TaskQueue says, then `podTemplate` over it.
 *
 * It has nothing of the Store: that is laid over it when it is applied (`withStore`), so that a template that was kept
 * can be used again as long as the build lives.
 */
import { durationMs } from "@memflow/crds";
import type { TaskQueue, TaskQueueSpec } from "@memflow/crds";
import { STORE_CREDENTIALS } from "../../api/store-credentials.ts";
import { CREDENTIALS_ANNOTATION, TASK_QUEUE_LABEL, workerLabels } from "../../api/labels.ts";
import type { CodeFiles } from "./code-files.ts";
import { mergePodParts } from "./merge-pod-spec.ts";
import type { PodPart } from "./merge-pod-spec.ts";

/** The container that is MemFlow's. */
export const WORKER_CONTAINER = "worker";
/** Where inline code is mounted. */
export const CODE_FOLDER = "/app/code";
/** Where the image of an artefact is mounted. */
export const ARTIFACT_FOLDER = "/mnt/artifact";
/** Inline code, or the artefact, as a volume. */
export const CODE_VOLUME = "code";
/** The Secret of a Store, as a volume. */
export const STORE_VOLUME = "memflow-store";
const HEALTH_PORT = 8_080;
/** What a worker needs after its activities: to hand its runs over and to close. */
const HANDOVER_SECONDS = 15;
/** After that a worker that does not listen is started anew. */
const START_SECONDS_MAX = 300;
const CONFIG_MAP_KEY_MAX = 253;

/** The image of workers whose TaskQueue brings none. */
export interface WorkerImage {
  readonly ref: string;
  readonly pullPolicy: "Always" | "IfNotPresent" | "Never";
}

/** What a template is made of. */
export interface TemplateInput {
  readonly taskQueue: TaskQueue;
  /** The queue's name in the Store. */
  readonly queueName: string;
  readonly buildId: string;
  readonly serviceAccountName: string;
  readonly workerImage: WorkerImage;
  /** Inline code and the ConfigMap that holds the build's copy of it. */
  readonly code: { readonly files: CodeFiles; readonly configMapName: string } | undefined;
}

/** What pods take from their Store. */
export interface StorePart {
  readonly secretName: string;
  readonly schema: string;
  readonly credentialsHash: string;
  /** The Store's `pool.maxPerWorker`. */
  readonly connectionMax: number;
}

/** A pod template, as JSON. */
export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: PodPart;
}

/** Renders the template of a build. */
export function podTemplateOf(input: TemplateInput): PodTemplate {
  const { taskQueue, buildId } = input;
  const { podTemplate } = taskQueue.spec.workers;
  const spec = mergePodParts(ownPodSpec(input), podTemplate?.spec ?? {});
  return {
    metadata: {
      labels: { ...podTemplate?.metadata?.labels, ...workerLabels(taskQueue.metadata.name, buildId) },
      annotations: podTemplate?.metadata?.annotations ?? {},
    },
    spec: withWorkerEnv(spec, ownEnv(input)),
  };
}

/**
 * Lays over a template what comes from the Store: connections, the authority that they name by its path, schema, and the hash that
 * rolls pods for new credentials.
 */
export function withStore(template: PodTemplate, store: StorePart): PodTemplate {
  const { metadata, spec } = template;
  const { uriKey, directUriKey, authorityKey, folder } = STORE_CREDENTIALS;
  const keyOf = (key: string): PodPart => ({ name: store.secretName, key });
  const env = [
    { name: "MEMFLOW_DATABASE_URL", valueFrom: { secretKeyRef: keyOf(uriKey) } },
    {
      name: "MEMFLOW_DIRECT_DATABASE_URL",
      valueFrom: { secretKeyRef: { ...keyOf(directUriKey), optional: true } },
    },
    { name: "MEMFLOW_NAMESPACE", value: store.schema },
    { name: "MEMFLOW_MAX_CONNECTIONS", value: String(store.connectionMax) },
  ];
  const annotations = { ...metadata.annotations, [CREDENTIALS_ANNOTATION]: store.credentialsHash };
  const items = [{ key: authorityKey, path: authorityKey }];
  const volume = { name: STORE_VOLUME, secret: { secretName: store.secretName, items, optional: true } };
  const mount = { name: STORE_VOLUME, mountPath: folder, readOnly: true };
  const mounted = withWorker({ ...spec, volumes: [...listOf(spec["volumes"]), volume] }, (container) => ({
    ...container,
    volumeMounts: [...listOf(container["volumeMounts"]), mount],
  }));
  return { metadata: { ...metadata, annotations }, spec: withWorkerEnv(mounted, env) };
}

/** The entries of a ConfigMap for files whose paths are no keys: the number keeps apart what is cut. */
export function configMapEntries(
  files: CodeFiles["files"],
): readonly { readonly key: string; readonly path: string; readonly text: string }[] {
  return Object.entries(files)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([path, text], index) => ({
      key: `${index}-${path.replaceAll("/", "-")}`.slice(0, CONFIG_MAP_KEY_MAX),
      path,
      text,
    }));
}

function ownPodSpec(input: TemplateInput): PodPart {
  const { taskQueue, serviceAccountName } = input;
  const { workers } = taskQueue.spec;
  const { pullSecrets } = workers.source.image ?? workers.source.artifact ?? {};
  const mounted = codeVolume(input);
  const mounts =
    mounted === undefined ? [] : [{ name: CODE_VOLUME, mountPath: mounted.folder, readOnly: true }];
  return {
    serviceAccountName: workers.serviceAccountName ?? serviceAccountName,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: Math.ceil(durationMs(workers.drain.timeout) / 1_000) + HANDOVER_SECONDS,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    ...given("imagePullSecrets", pullSecrets),
    ...given("nodeSelector", workers.nodeSelector),
    ...given("affinity", workers.affinity),
    ...given("tolerations", workers.tolerations),
    ...given("topologySpreadConstraints", spreadOf(taskQueue.metadata.name, workers)),
    containers: [
      {
        name: WORKER_CONTAINER,
        ...imageOf(input),
        ports: [{ name: "health", containerPort: HEALTH_PORT, protocol: "TCP" }],
        env: workers.env,
        ...given("envFrom", workers.envFrom),
        ...given("resources", workers.resources),
        // Ready soon after it is: a queue that wakes waits for it.
        readinessProbe: {
          httpGet: { path: "/readyz", port: HEALTH_PORT, scheme: "HTTP" },
          periodSeconds: 1,
          timeoutSeconds: 2,
          failureThreshold: 3,
        },
        // On a busy node it may take long until it listens, and to begin anew would take as long again.
        startupProbe: {
          httpGet: { path: "/healthz", port: HEALTH_PORT, scheme: "HTTP" },
          periodSeconds: 1,
          timeoutSeconds: 2,
          failureThreshold: START_SECONDS_MAX,
        },
        // Slow to judge: a busy main loop is no reason to lose what it is busy with.
        livenessProbe: {
          httpGet: { path: "/healthz", port: HEALTH_PORT, scheme: "HTTP" },
          periodSeconds: 10,
          timeoutSeconds: 5,
          failureThreshold: 6,
        },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [{ name: "tmp", mountPath: "/tmp" }, ...mounts],
      },
    ],
    volumes: [{ name: "tmp", emptyDir: {} }, ...(mounted === undefined ? [] : [mounted.volume])],
  };
}

function imageOf({ taskQueue, workerImage }: TemplateInput): PodPart {
  const { image, code, artifact } = taskQueue.spec.workers.source;
  if (image !== undefined) return { image: image.ref, ...given("imagePullPolicy", image.pullPolicy) };
  const runtimeImage = code?.runtimeImage ?? artifact?.runtimeImage;
  return runtimeImage === undefined
    ? { image: workerImage.ref, imagePullPolicy: workerImage.pullPolicy }
    : { image: runtimeImage };
}

function codeVolume({ taskQueue, code }: TemplateInput): { volume: PodPart; folder: string } | undefined {
  const { artifact } = taskQueue.spec.workers.source;
  if (artifact !== undefined) {
    const image = { reference: artifact.image, ...given("pullPolicy", artifact.pullPolicy) };
    return { volume: { name: CODE_VOLUME, image }, folder: ARTIFACT_FOLDER };
  }
  if (code === undefined) return undefined;
  const items = configMapEntries(code.files.files).map(({ key, path }) => ({ key, path }));
  const configMap = { name: code.configMapName, items };
  return { volume: { name: CODE_VOLUME, configMap }, folder: CODE_FOLDER };
}

/** What the user may not set, for the rest of MemFlow counts on it. An image says itself where its code is. */
function ownEnv({ taskQueue, queueName, buildId, code }: TemplateInput): readonly PodPart[] {
  const { drain, concurrency, source } = taskQueue.spec.workers;
  const module =
    source.artifact === undefined
      ? code && `${CODE_FOLDER}${code.files.module === "" ? "" : `/${code.files.module}`}`
      : `${ARTIFACT_FOLDER}${source.artifact.path}`;
  return [
    { name: "MEMFLOW_TASK_QUEUE", value: queueName },
    { name: "MEMFLOW_BUILD_ID", value: buildId },
    ...(module === undefined ? [] : [{ name: "MEMFLOW_MODULE", value: module }]),
    { name: "MEMFLOW_MAX_ACTIVITIES", value: String(concurrency.activities) },
    { name: "MEMFLOW_MAX_RUNS", value: String(concurrency.workflowTasks) },
    { name: "MEMFLOW_GRACE_MS", value: String(durationMs(drain.timeout)) },
    { name: "MEMFLOW_PORT", value: String(HEALTH_PORT) },
  ];
}

/** Puts variables before those that are there, in their place where they have the same name. */
function withWorkerEnv(spec: PodPart, own: readonly PodPart[]): PodPart {
  const names = new Set(own.map(({ name }) => name));
  return withWorker(spec, (container) => {
    const others = listOf(container["env"]).filter(({ name }) => !names.has(name));
    return { ...container, env: [...own, ...others] };
  });
}

function withWorker(spec: PodPart, change: (container: PodPart) => PodPart): PodPart {
  const containers = listOf(spec["containers"]).map((container) =>
    container["name"] === WORKER_CONTAINER ? change(container) : container,
  );
  return { ...spec, containers };
}

function listOf(value: unknown): readonly PodPart[] {
  return (value ?? []) as readonly PodPart[];
}

function spreadOf(name: string, { topologySpreadConstraints }: TaskQueueSpec["workers"]): readonly PodPart[] {
  const labelSelector = { matchLabels: { [TASK_QUEUE_LABEL]: name } };
  return topologySpreadConstraints.map((constraint) => ({ ...constraint, labelSelector }));
}

/** A member, unless there is nothing to say. */
function given(name: string, value: unknown): PodPart {
  const isEmpty = value === undefined || (Array.isArray(value) && value.length === 0);
  return isEmpty ? {} : { [name]: value };
}
