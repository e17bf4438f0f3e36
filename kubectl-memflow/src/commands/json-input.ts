/** Reads JSON from the command line: as it stands, from `@FILE`, or from stdin with `@-`. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import type { CliIo } from "../cli/cli-io.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

/**
 * @param option - For messages: `--input`.
 * @throws {CommandError} With exit code 2 when the file can't be read or it is no JSON.
 */
export async function readJson(value: string, option: string, io: CliIo): Promise<unknown> {
  const source = await readSource(value, option, io);
  try {
    return JSON.parse(source) as unknown;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const hint = value.startsWith("@") ? "" : `; a text needs its quotes: ${option} '"text"'`;
    throw new CommandError(EXIT_CODES.usage, `${option} is no JSON: ${reason}${hint}`, cause);
  }
}

async function readSource(value: string, option: string, io: CliIo): Promise<string> {
  if (!value.startsWith("@")) return value;
  if (value === "@-") return text(io.stdin as AsyncIterable<string>);
  try {
    return await readFile(path.resolve(io.folder, value.slice(1)), "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new CommandError(EXIT_CODES.usage, `${option} ${value}: the file can't be read (${code})`, cause);
  }
}
