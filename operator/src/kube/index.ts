/** The door of the Kubernetes library: what reconcilers and their tests use of it. */
export { backoffMs, RETRY_AFTER_MAX_MS } from "./backoff.ts";
export type { Backoff } from "./backoff.ts";
export { sleep, systemClock } from "./clock.ts";
export type { Clock } from "./clock.ts";
export * from "./errors.ts";
export { ObjectStore } from "./object-store.ts";
export type { IndexFunction, ReadableStore } from "./object-store.ts";
export { compareResourceVersions, identityOf, keyOf, nameOf, parseKey } from "./wire.ts";
export type { Identity, KubeList, KubeObject, ObjectName, Scale, Status, Wire } from "./wire.ts";
