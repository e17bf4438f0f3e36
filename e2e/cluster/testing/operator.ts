/**
 * The operator on the cluster that scenarios share: installed once by its charts, from images of this checkout.
 *
 * Scenarios may kill its pods and scale its Deployment as long as they put it back; what changes its release belongs into a file
 * with a cluster of its own.
 */
import { fileURLToPath } from "node:url";
import { DEPLOYMENTS, PODS } from "@memflow/operator/kube";
import type { Pod } from "@memflow/operator/kube";
import { PRODUCT_IMAGES, productImagesArchive } from "../product-images.ts";
import type { ScenarioBench } from "./scenario-bench.ts";

const CHARTS = fileURLToPath(new URL("../../../charts", import.meta.url));
const RELEASE = "memflow";
const SHARED_NAMESPACE = "memflow-system";
const SELECTOR = "app.kubernetes.io/instance=memflow,app.kubernetes.io/component=operator";

/** Where the operator runs. */
export interface InstalledOperator {
  readonly namespace: string;
  readonly deployment: string;
  /** Its pods as they are now. */
  pods(): Promise<readonly Pod[]>;
  /** Sets its replicas, and waits until there are as many ready and no others. */
  scale(replicas: number): Promise<void>;
}

/** How it is installed. */
export interface OperatorInstallation {
  /** Default `memflow-system`: the one that scenarios share. */
  readonly namespace?: string;
  /** Values of the chart besides the images: by path, as for `--set-json`. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** Installs definitions and operator where they are not there yet, and waits until a process of it leads. */
export async function installOperator(
  bench: ScenarioBench,
  { namespace = SHARED_NAMESPACE, values = {} }: OperatorInstallation = {},
): Promise<InstalledOperator> {
  await bench.cluster.loadImages([await productImagesArchive()]);
  const install = ["upgrade", "--install", "--wait", "--timeout", "90s", "--create-namespace"];
  // One release of the cluster, wherever the operator is: another could not take the definitions over.
  await bench.helm([...install, "--namespace", SHARED_NAMESPACE, "memflow-crds", `${CHARTS}/memflow-crds`]);
  // Two more pods that most scenarios have no use for.
  const settings = Object.entries({ "gateway.enabled": false, ...imageValues(), ...values }).flatMap(
    ([path, value]) => ["--set-json", `${path}=${JSON.stringify(value)}`],
  );
  await bench.helm([...install, "--namespace", namespace, RELEASE, `${CHARTS}/memflow`, ...settings]);
  return operatorIn(bench, namespace);
}

/** The operator that an earlier `installOperator` or a helm command installed. */
export async function operatorIn(bench: ScenarioBench, namespace: string): Promise<InstalledOperator> {
  const { items } = await bench.client.list(DEPLOYMENTS, { namespace, labelSelector: SELECTOR });
  const deployment = items[0]?.metadata?.name;
  if (deployment === undefined) throw new Error(`no operator in namespace "${namespace}"`);
  const pods = async (): Promise<readonly Pod[]> =>
    (await bench.client.list(PODS, { namespace, labelSelector: SELECTOR })).items;
  return {
    namespace,
    deployment,
    pods,
    async scale(replicas) {
      await bench.kubectl(["-n", namespace, "scale", `deployment/${deployment}`, `--replicas=${replicas}`]);
      await bench.waitFor({
        type: DEPLOYMENTS,
        name: deployment,
        namespace,
        until: (object) =>
          object?.status?.observedGeneration === object?.metadata?.generation &&
          (object?.status?.readyReplicas ?? 0) === replicas &&
          (object?.status?.replicas ?? 0) === replicas,
      });
    },
  };
}

function imageValues(): Readonly<Record<string, unknown>> {
  const image = (name: string): object => {
    const at = name.lastIndexOf(":");
    return { repository: name.slice(0, at), tag: name.slice(at + 1), pullPolicy: "Never" };
  };
  return {
    "operator.image": image(PRODUCT_IMAGES.operator),
    "worker.image": image(PRODUCT_IMAGES.worker),
    "gateway.image": image(PRODUCT_IMAGES.gateway),
  };
}
