/**
 * The operator's log: JSON lines on standard output, one for each entry, written before the call returns, so that the last
 * one is never lost.
 */
import { pino } from "pino";
import type { DestinationStream } from "pino";
import type { Log, LogLevel } from "./kube/index.ts";

const STDOUT = 1;

/**
 * Makes the log.
 *
 * @param level - The least that is written.
 * @param destination - Default: standard output.
 */
export function makeLog(
  level: LogLevel,
  destination: DestinationStream = pino.destination({ dest: STDOUT, sync: true }),
): Log {
  const logger = pino(
    {
      level,
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), bindings: () => ({}) },
    },
    destination,
  );
  return (entryLevel, message, fields) => logger[entryLevel](fields, message);
}
