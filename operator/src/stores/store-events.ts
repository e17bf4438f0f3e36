/** What users are told of a Store: the differences between two statuses, and what steps did. */
import type { STORE_EVENTS, StoreStatus } from "@memflow/crds";
import { findCondition } from "../api/index.ts";
import type { StoreObject } from "../api/index.ts";
import type { EventRecorder } from "../kube/index.ts";
import { versionText } from "./core/version-text.ts";
import type { AttemptOutcome } from "./migration-attempts.ts";

/** The names that the kind documents. */
export type StoreEvent = keyof typeof STORE_EVENTS;

const WARNINGS: ReadonlySet<StoreEvent> = new Set([
  "ConnectionLost",
  "DeletionBlocked",
  "MigrationFailed",
  "PoolLimitExceeded",
] satisfies StoreEvent[]);

/** Tells of one Store. */
export class StoreEvents {
  readonly #recorder: Pick<EventRecorder, "record">;
  readonly #regarding: StoreObject;

  constructor(recorder: Pick<EventRecorder, "record">, regarding: StoreObject) {
    this.#recorder = recorder;
    this.#regarding = regarding;
  }

  tell(reason: StoreEvent, note: string, action = "Reconcile"): void {
    const type = WARNINGS.has(reason) ? "Warning" : "Normal";
    this.#recorder.record({ regarding: this.#regarding, type, reason, action, note });
  }

  /** What one status says that the one before did not. */
  tellChanges(before: StoreStatus | undefined, after: StoreStatus): void {
    const connected = findCondition(after, "Connected");
    const wasConnected = findCondition(before, "Connected")?.status === "True";
    const message = connected?.message ?? "";
    if (connected?.status === "True" && !wasConnected) this.tell("Connected", message, "Connect");
    if (connected?.status !== "True" && wasConnected) this.tell("ConnectionLost", message, "Connect");
    const pool = findCondition(after, "PoolExhausted");
    const wasExhausted = findCondition(before, "PoolExhausted")?.status === "True";
    if (pool?.status === "True" && !wasExhausted) this.tell("PoolLimitExceeded", pool.message, "CheckPool");
  }

  /** How an attempt to migrate ended. */
  tellMigration(schema: string, outcome: AttemptOutcome): void {
    if (outcome.kind === "Failed") {
      const { error } = outcome;
      this.tell("MigrationFailed", error instanceof Error ? error.message : String(error), "Migrate");
      return;
    }
    const { from, to } = outcome.result;
    if (from === to) return;
    if (from === 0) this.tell("SchemaCreated", `schema "${schema}" was created`, "Migrate");
    this.tell(
      "Migrated",
      `schema "${schema}": version ${versionText(from)} -> ${versionText(to)}`,
      "Migrate",
    );
  }
}
