/** A row of `activities`, or of the inbox where the outcome waits there, as a new owner of its run reads it. */
export interface ActivityRow {
  readonly position: number;
  /** The attempt that runs, or runs next; 1-based. */
  readonly attempt: number;
  readonly state: "queued" | "leased" | "local" | "answered";
  /** When the attempt may start, by the database's clock. */
  readonly dueMs: number;
}
