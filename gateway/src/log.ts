/** The gateway's log: JSON lines on standard output, one for each entry, written before the call returns. */
import type { Log, LogLevel } from "@memflow/operator/kube";
import { pino } from "pino";

const STDOUT = 1;

/**
 * Makes the log.
 *
 * @param level - The least that is written.
 */
export function makeLog(level: LogLevel): Log {
  const logger = pino(
    {
      level,
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), bindings: () => ({}) },
    },
    pino.destination({ dest: STDOUT, sync: true }),
  );
  return (entryLevel, message, fields) => logger[entryLevel](fields, message);
}
