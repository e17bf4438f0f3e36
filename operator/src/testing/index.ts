/** The door for tests: a mock API server that fails on order, a clock turned by hand. */
export { Bell } from "./bell.ts";
export { ManualClock } from "./manual-clock.ts";
export type { Fault, FaultTarget, Verb, WatchBreak } from "./mock-api/faults.ts";
export { MockApiServer } from "./mock-api/mock-api-server.ts";
export type {
  AccessReviewSpec,
  MockApiServerOptions,
  RecordedRequest,
  ResourceAttributes,
  TokenReviewSpec,
} from "./mock-api/mock-api-server.ts";
export type { MockCluster } from "./mock-api/mock-cluster.ts";
