/** The door of the Kubernetes library: what reconcilers and their tests use of it. */
export { backoffMs, RETRY_AFTER_MAX_MS } from "./backoff.ts";
export type { Backoff } from "./backoff.ts";
export { sleep, systemClock } from "./clock.ts";
export type { Clock } from "./clock.ts";
export * from "./errors.ts";
export { KubeClient } from "./kube-client.ts";
export type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubeClientOptions,
  ListOptions,
  ListPage,
  Patch,
  Selection,
  WatchOptions,
  WriteOptions,
} from "./kube-client.ts";
export { errorFields } from "./log.ts";
export type { Log, LogLevel } from "./log.ts";
export { ObjectStore } from "./object-store.ts";
export type { IndexFunction, ReadableStore } from "./object-store.ts";
export { Reflector } from "./reflector.ts";
export type { ChangeHandler, ObjectChange, ReflectorOptions, ReflectorState } from "./reflector.ts";
export { EVENTS, LEASES, metadataOf, namespaced } from "./resource-type.ts";
export type { KubeEvent, Lease, ResourceType } from "./resource-type.ts";
export { WatchIdleError } from "./watch-stream.ts";
export type { WatchEvent } from "./watch-stream.ts";
export { compareResourceVersions, identityOf, keyOf, nameOf, parseKey } from "./wire.ts";
export type { Identity, KubeList, KubeObject, ObjectName, Scale, Status, Wire } from "./wire.ts";
