/**
 * What a cluster says when a test on it has failed: Events, objects, and the ends of the logs.
 *
 * It never fails itself: what can't be read is said in its place.
 */
import type { AttachedCluster } from "../clusters.ts";

const LOG_LINES = "40";
const SECTION_MAX = 6_000;
const PODS_MAX = 12;
/** Pods of ours outside the test's namespace: the operator. */
const OURS = "app.kubernetes.io/part-of=memflow";

/** Gathers what helps to understand a failure in a namespace. */
export async function diagnose(cluster: AttachedCluster, namespace: string): Promise<string> {
  const here = ["--namespace", namespace];
  const sections: readonly (readonly [title: string, args: readonly string[]])[] = [
    ["nodes", ["get", "nodes"]],
    ["objects", [...here, "get", "all", "-o", "wide"]],
    ["objects of MemFlow", [...here, "get", "stores,taskqueues,workflows,schedules"]],
    ["events", [...here, "get", "events", "--sort-by", ".lastTimestamp"]],
  ];
  const texts = sections.map(async ([title, args]) => `--- ${title}\n${await said(cluster, args)}`);
  const logs = [podLogs(cluster, here), podLogs(cluster, ["--all-namespaces", "-l", OURS])];
  return (await Promise.all([...texts, ...logs])).filter((text) => text !== "").join("\n");
}

async function podLogs(cluster: AttachedCluster, selection: readonly string[]): Promise<string> {
  const form = "jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{'\\n'}{end}";
  const pods = (await said(cluster, ["get", "pods", ...selection, "-o", form])).split("\n");
  const logs = pods.slice(0, PODS_MAX).map(async (pod) => {
    const [namespace = "", name = ""] = pod.split("/");
    if (name === "") return pod;
    const args = ["--namespace", namespace, "logs", name, "--all-containers", "--tail", LOG_LINES];
    return `--- logs of ${pod}\n${await said(cluster, args)}`;
  });
  return (await Promise.all(logs)).join("\n");
}

async function said(cluster: AttachedCluster, args: readonly string[]): Promise<string> {
  try {
    return (await cluster.kubectl(args)).trim().slice(-SECTION_MAX);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
