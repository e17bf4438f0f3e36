/** What is known of a Store when its next step is decided. */
import type { StoreSpec } from "@memflow/crds";
import type { ClaimReason } from "./claim-reason.ts";
import type { CredentialObservation } from "./credential-plan.ts";

/** For whom credentials are made. */
export type Audience = "worker" | "gateway";
export const AUDIENCES: readonly Audience[] = ["worker", "gateway"];

/** The Secret that the operator writes for an audience. */
export function credentialsSecretName(storeName: string, audience: Audience): string {
  return `${storeName}-${audience}`;
}

/** Whether the server is reached. */
export type ConnectionObservation =
  | { readonly kind: "Reachable"; readonly message: string }
  | {
      readonly kind: Exclude<ClaimReason<"Connected">, "Reachable">;
      readonly message: string;
      /** The server answered, and refused user or password. */
      readonly loginRefused?: boolean;
    };

/** The schema; undefined until it was looked at. */
export interface SchemaObservation {
  readonly exists: boolean;
  /** 0 where it holds no store. */
  readonly version: number;
  /** The connection's role may not use it: why, with the SQL that helps. The version is not known then. */
  readonly denial?: string;
}

/** The attempts to migrate to this version, with this spec. */
export interface MigrationObservation {
  readonly isRunning: boolean;
  readonly failedCount: number;
  /** Why the last one failed; undefined when it did not. */
  readonly failure:
    | { readonly kind: "Failed" | "PermissionDenied" | "TooNew"; readonly message: string }
    | undefined;
  /** Until the next attempt. */
  readonly waitMs: number;
}

/** The credentials of one audience. */
export type AudienceObservation =
  | { readonly kind: "Created"; readonly credential: CredentialObservation }
  /** Given or Shared: what the Secret should hold is known, or is not. */
  | {
      readonly kind: "Taken";
      readonly reading: "Read" | "Missing" | "Invalid";
      readonly message: string;
      readonly login: "Accepted" | "Refused" | undefined;
      readonly secret: "Missing" | "Foreign" | "Stale" | "UpToDate";
      readonly isGranted: boolean;
    };

/** What the schema says of all its runs: how long closed ones stay. */
export interface SettingsObservation {
  readonly completedSeconds: number;
  readonly failedSeconds: number;
}

/** All of it. */
export interface StoreObservation {
  readonly name: string;
  readonly spec: StoreSpec;
  readonly targetVersion: number;
  /** The annotation memflow.io/approve-migration. */
  readonly approvedVersion: string | undefined;
  readonly connection: ConnectionObservation;
  readonly schema: SchemaObservation | undefined;
  /** Undefined where it has another version. */
  readonly settings: SettingsObservation | undefined;
  readonly migration: MigrationObservation;
  /** Undefined until the schema was looked at. */
  readonly audiences: Readonly<Record<Audience, AudienceObservation>> | undefined;
  /** The connection's role lacks a right for them; the message has the SQL that gives it. */
  readonly credentialsFailure: { readonly kind: "PermissionDenied"; readonly message: string } | undefined;
  readonly pool: {
    readonly queueCount: number;
    readonly replicasMax: number;
    /** Connections that a worker opens when nothing bounds it. */
    readonly workerMax: number;
    /** What the server has for ordinary roles; undefined where it was not asked, or a pooler stands between. */
    readonly serverMax: number | undefined;
  };
}
