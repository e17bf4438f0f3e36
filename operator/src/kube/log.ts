/** Where the parts of this library report what an operator's logs should show. It is given; nothing here prints. */

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Writes one entry: a fixed message, and the values beside it. */
export type Log = (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void;

/** An error as fields of an entry. */
export function errorFields(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return { error: String(error) };
  const { code } = error as { readonly code?: unknown };
  return { error: error.message, ...(typeof code === "string" ? { code } : {}) };
}
