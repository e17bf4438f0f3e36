/**
 * Kubernetes' part, as far as scaling depends on it: pods come and go as Deployments ask for them.
 *
 * Pods that go are chosen as a ReplicaSet chooses: those that are not ready, then by deletion cost, then the newest.
 */
import { workerLabels } from "../../api/index.ts";
import { DEPLOYMENTS, PODS } from "../../kube/index.ts";
import type { Deployment, Pod } from "../../kube/index.ts";
import type { MockCluster } from "../../testing/mock-api/mock-cluster.ts";
import { DELETION_COST_ANNOTATION } from "../../scaling/core/plan-scale-in.ts";

/** Brings pods to what the Deployments ask for, whenever it is told to. */
export class DeploymentController {
  /** Called before a pod is deleted. */
  onDelete: (podName: string) => void = () => {};
  /** Whether new pods are ready at once. */
  podsStart = true;
  readonly #cluster: MockCluster;
  #podCount = 0;
  #ranAt = 0;

  constructor(cluster: MockCluster) {
    this.#cluster = cluster;
  }

  run(): void {
    if (this.#cluster.revision === this.#ranAt) return;
    for (const deployment of this.#cluster.list(DEPLOYMENTS)) this.#reconcile(deployment);
    this.#ranAt = this.#cluster.revision;
  }

  podsOf(deploymentName: string): readonly Pod[] {
    return this.#cluster.list(PODS).filter(({ metadata }) => metadata?.labels?.["of"] === deploymentName);
  }

  #reconcile(deployment: Deployment): void {
    const { name = "", labels } = deployment.metadata ?? {};
    const wanted = deployment.spec?.replicas ?? 1;
    const pods = this.podsOf(name);
    for (let count = pods.length; count < wanted; count++) this.#create(name, labels ?? {});
    const surplus = pods.toSorted(byDeletion).slice(0, Math.max(0, pods.length - wanted));
    for (const { metadata } of surplus) this.#delete(metadata?.name ?? "");
    const now = this.podsOf(name);
    const status = { replicas: now.length, readyReplicas: now.filter(isReady).length };
    this.#cluster.replace(
      DEPLOYMENTS,
      { ...deployment, status },
      {
        manager: "kube-controller-manager",
        subresource: "status",
      },
    );
  }

  #create(of: string, labels: Readonly<Record<string, string>>): void {
    const status: NonNullable<Pod["status"]> = this.podsStart
      ? { phase: "Running", conditions: [{ type: "Ready", status: "True" }] }
      : { phase: "Pending" };
    this.#cluster.create(PODS, {
      metadata: { name: `${of}-${++this.#podCount}`, namespace: "default", labels: { ...labels, of } },
      spec: { nodeName: "node", containers: [] },
      status,
    });
  }

  #delete(name: string): void {
    this.onDelete(name);
    this.#cluster.delete(PODS, { namespace: "default", name });
  }
}

/** What the operator makes for a build. */
export function deploymentOf(queue: string, buildId: string, replicas: number): Deployment {
  return {
    metadata: {
      name: `${queue}-${buildId}`,
      namespace: "default",
      labels: { ...workerLabels(queue, buildId) },
    },
    spec: { replicas, selector: {}, template: {} },
  };
}

function isReady({ status }: Pod): boolean {
  return (status?.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True");
}

function byDeletion(left: Pod, right: Pod): number {
  const costOf = ({ metadata }: Pod): number =>
    Number(metadata?.annotations?.[DELETION_COST_ANNOTATION] ?? "0");
  const ageOf = ({ metadata }: Pod): number => Number(metadata?.name?.split("-").at(-1));
  return (
    Number(isReady(left)) - Number(isReady(right)) ||
    costOf(left) - costOf(right) ||
    ageOf(right) - ageOf(left)
  );
}
