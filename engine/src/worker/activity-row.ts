/** A row of `activities`, as a new owner of its run reads it. */
export interface ActivityRow {
  readonly position: number;
  /** The attempt that runs, or runs next; 1-based. */
  readonly attempt: number;
  readonly state: 'queued' | 'leased' | 'local';
  /** When the attempt may start, by the database's clock. */
  readonly dueMs: number;
}
