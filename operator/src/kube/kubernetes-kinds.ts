/**
 * What the operator makes, reads or watches of Kubernetes' own kinds.
 */
import type {
  V1ConfigMap,
  V1ControllerRevision,
  V1CustomResourceDefinition,
  V1Deployment,
  V1Pod,
  V1PodDisruptionBudget,
  V1ReplicaSet,
  V1Secret,
  V1ServiceAccount,
} from "@kubernetes/client-node";
import { namespaced } from "./resource-type.ts";
import type { ResourceType } from "./resource-type.ts";
import type { KubeObject, Wire } from "./wire.ts";

export type ConfigMap = Wire<V1ConfigMap>;
export type ControllerRevision = Wire<V1ControllerRevision>;
export type CustomResourceDefinitionObject = Wire<V1CustomResourceDefinition>;
export type Deployment = Wire<V1Deployment>;
export type Pod = Wire<V1Pod>;
export type PodDisruptionBudget = Wire<V1PodDisruptionBudget>;
export type ReplicaSet = Wire<V1ReplicaSet>;
export type Secret = Wire<V1Secret>;
export type ServiceAccount = Wire<V1ServiceAccount>;

export const CONFIG_MAPS: ResourceType<ConfigMap> = namespaced("v1", "ConfigMap", "configmaps");
export const CONTROLLER_REVISIONS: ResourceType<ControllerRevision> = namespaced(
  "apps/v1",
  "ControllerRevision",
  "controllerrevisions",
);
export const CUSTOM_RESOURCE_DEFINITIONS: ResourceType<CustomResourceDefinitionObject> = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
  detail: "full",
};
export const DEPLOYMENTS: ResourceType<Deployment> = namespaced("apps/v1", "Deployment", "deployments");
export const PODS: ResourceType<Pod> = namespaced("v1", "Pod", "pods");
export const POD_DISRUPTION_BUDGETS: ResourceType<PodDisruptionBudget> = namespaced(
  "policy/v1",
  "PodDisruptionBudget",
  "poddisruptionbudgets",
);
export const REPLICA_SETS: ResourceType<ReplicaSet> = namespaced("apps/v1", "ReplicaSet", "replicasets");
export const SECRETS: ResourceType<Secret> = namespaced("v1", "Secret", "secrets");
export const SERVICE_ACCOUNTS: ResourceType<ServiceAccount> = namespaced(
  "v1",
  "ServiceAccount",
  "serviceaccounts",
);
/** Asked for one by one, by name: only whether it is being deleted matters. */
export const NAMESPACES: ResourceType<KubeObject> = {
  apiVersion: "v1",
  kind: "Namespace",
  plural: "namespaces",
  namespaced: false,
  detail: "metadata",
};
