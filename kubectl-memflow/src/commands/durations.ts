/** Durations and selections as the command line writes them. Pure. */
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(?<count>\d{1,9})(?<unit>ms|s|m|h|d)$/u;

/** @throws {CommandError} With exit code 2. */
export function readDurationMs(text: string, option: string): number {
  const { count, unit } = DURATION.exec(text)?.groups ?? {};
  if (count === undefined || unit === undefined) {
    throw new CommandError(
      EXIT_CODES.usage,
      `${option} "${text}" is no duration: write it as 500ms, 30s, 5m, 24h or 7d`,
    );
  }
  return Number(count) * UNITS[unit as keyof typeof UNITS];
}

/** @throws {CommandError} With exit code 2. */
export function readCount(text: string, option: string): number {
  if (!/^\d{1,9}$/u.test(text)) {
    throw new CommandError(EXIT_CODES.usage, `${option} "${text}" is no number`);
  }
  return Number(text);
}

/** `field=value` pairs. @throws {CommandError} With exit code 2. */
export function readPairs(texts: readonly string[], option: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const [field = "", ...rest] = text.split("=");
      if (field === "" || rest.length === 0) {
        throw new CommandError(EXIT_CODES.usage, `${option} "${text}" must be field=value`);
      }
      return [field, rest.join("=")];
    }),
  );
}
