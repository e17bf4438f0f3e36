/** A log that tests read. */
import type { Log, LogLevel } from "../kube/log.ts";

/** One entry. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Keeps what is logged. */
export interface LogRecorder {
  readonly entries: readonly LogEntry[];
  readonly log: Log;
}

export function recordLog(): LogRecorder {
  const entries: LogEntry[] = [];
  return { entries, log: (level, message, fields) => void entries.push({ level, message, fields }) };
}
