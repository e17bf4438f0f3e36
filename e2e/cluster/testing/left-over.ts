/** What is in a namespace besides what Kubernetes itself puts into every one. */
import type { ScenarioBench } from "./scenario-bench.ts";

/** Kinds that tell of others, or that only live as long as their owner. */
const NOT_OBJECTS = /^(events|endpoints|endpointslices)\b/u;
const OF_EVERY_NAMESPACE: readonly string[] = ["configmap/kube-root-ca.crt", "serviceaccount/default"];

/** Names of all objects in the namespace, of whatever kind, as `kubectl get --output name` writes them. */
export async function objectsLeft(
  bench: ScenarioBench,
  namespace: string = bench.namespace,
): Promise<readonly string[]> {
  const listed = await bench.kubectl([
    "api-resources",
    "--namespaced",
    "--verbs=list,delete",
    "--output=name",
  ]);
  const kinds = listed.split("\n").filter((name) => name !== "" && !NOT_OBJECTS.test(name));
  const names = await bench.kubectl(["--namespace", namespace, "get", kinds.join(","), "--output=name"]);
  return names
    .split("\n")
    .filter((name) => name !== "" && !OF_EVERY_NAMESPACE.includes(name))
    .toSorted();
}
