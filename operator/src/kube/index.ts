/** The door of the Kubernetes library: what reconcilers and their tests use of it. */
export { mayAccess } from "./access.ts";
export type { AccessQuestion } from "./access.ts";
export { backoffMs, RETRY_AFTER_MAX_MS } from "./backoff.ts";
export type { Backoff } from "./backoff.ts";
export { sleep, systemClock } from "./clock.ts";
export type { Clock } from "./clock.ts";
export { hasSpecNews, sourceOf } from "./controller.ts";
export type { Controller, Reconcile, ReconcileContext, Source } from "./controller.ts";
export * from "./errors.ts";
export { EventRecorder } from "./event-recorder.ts";
export type { EventRecorderOptions, Happening } from "./event-recorder.ts";
export { followNamespaces } from "./followed-objects.ts";
export type { FollowedObjects } from "./followed-objects.ts";
export { HealthPortError, startHealthServer } from "./health-server.ts";
export type { HealthServer, HealthServerOptions, MetricsSource, Readiness } from "./health-server.ts";
export { KubeClient } from "./kube-client.ts";
export type {
  AnswerFacts,
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubeClientOptions,
  ListOptions,
  ListPage,
  LogOptions,
  Patch,
  Selection,
  TokenWish,
  WatchOptions,
  WriteGuard,
  WriteOptions,
} from "./kube-client.ts";
export { KubeConfigError, readKubeConfig } from "./kube-config.ts";
export * from "./kubernetes-kinds.ts";
export { LeaderElector, LeadershipEndsError, LeadershipLostError } from "./leader-elector.ts";
export type { ElectionTimes, LeaderElectorOptions, Leadership } from "./leader-elector.ts";
export { errorFields } from "./log.ts";
export type { Log, LogLevel } from "./log.ts";
export { ObjectStore } from "./object-store.ts";
export type { IndexFunction, ReadableStore } from "./object-store.ts";
export { OperatorRuntime } from "./operator-runtime.ts";
export type { OperatorRuntimeOptions } from "./operator-runtime.ts";
export { openPortForward } from "./port-forward.ts";
export type { PortForwardTarget } from "./port-forward.ts";
export { Reflector } from "./reflector.ts";
export type { ChangeHandler, ObjectChange, ReflectorOptions, ReflectorState } from "./reflector.ts";
export { EVENTS, LEASES, metadataOf, namespaced } from "./resource-type.ts";
export type { KubeEvent, Lease, ResourceType } from "./resource-type.ts";
export { reviewAccess, reviewToken, SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS } from "./reviews.ts";
export type { AccessVerdict, ReviewedAccess, ReviewedUser, TokenQuestion } from "./reviews.ts";
export { findServicePods, SERVICES } from "./service-pods.ts";
export type { Service, ServicePod, ServicePortQuestion } from "./service-pods.ts";
export { listenForStop, StopSignalError } from "./stop-signals.ts";
export type { StopSignals } from "./stop-signals.ts";
export { readUserCredentials } from "./user-credentials.ts";
export type { ClientCertificate, UserCredentials } from "./user-credentials.ts";
export { readUserKubeConfig } from "./user-kube-config.ts";
export type { KubeConfigWish, UserKubeConfig } from "./user-kube-config.ts";
export { WatchIdleError } from "./watch-stream.ts";
export type { WatchEvent } from "./watch-stream.ts";
export { compareResourceVersions, identityOf, keyOf, nameOf, parseKey } from "./wire.ts";
export type { Identity, KubeList, KubeObject, ObjectName, Scale, Status, Wire } from "./wire.ts";
export { WorkQueue, WorkStoppedError, WorkTimeoutError } from "./work-queue.ts";
export type { Processed, ProcessedFacts, WorkQueueOptions, WorkQueueState } from "./work-queue.ts";
