/**
 * What tests of MemFlow use: checkers of its promises, faults to inject, and a schema for each test.
 *
 * Not for production code.
 */
export { checkStore } from "./check-store.ts";
export type { KnownToTest } from "./check-store.ts";
export { checkAcknowledged } from "./checkers/acknowledged.ts";
export type { AcknowledgedSignal, Acknowledgements } from "./checkers/acknowledged.ts";
export { checkDepth } from "./checkers/depth.ts";
export type { DepthCheck } from "./checkers/depth.ts";
export { checkEntities, readEntity } from "./checkers/entities.ts";
export { checkFences } from "./checkers/fences.ts";
export { checkOpenRuns } from "./checkers/open-runs.ts";
export { checkOutcomes } from "./checkers/outcomes.ts";
export { checkReplays } from "./checkers/replays.ts";
export { checkTerminalStates, rememberEndedRuns } from "./checkers/terminal-states.ts";
export type { EndedRuns } from "./checkers/terminal-states.ts";
export { observeCrashPoints } from "./crash-observer.ts";
export type { CrashObserver, StopPlace } from "./crash-observer.ts";
export { eventually } from "./eventually.ts";
export { Session } from "../store/session.ts";
export { MeddledSource } from "./meddled-source.ts";
export type { HeldAnswer } from "./meddled-source.ts";
export { findPgBouncer, startPgBouncer } from "./pgbouncer.ts";
export type { PgBouncer, PoolMode } from "./pgbouncer.ts";
export { lookAtStore } from "./store-snapshot.ts";
export type { StorePlace, StoreSnapshot } from "./store-snapshot.ts";
export { testDatabaseUrl, testDatabaseUrlWith, testSource, uniqueName } from "./test-database.ts";
