/**
 * Which database a connection string or options object points to, and how to say so without its password.
 *
 * Promises that what it reads is what `pg` would connect to (environment variables and defaults included) and that no
 * message or cause holds a password. Does not look the host up.
 */
import pg from "pg";
import { ConnectionError, describeValue } from "../core/errors.ts";
import { outside } from "./outside.ts";

/** What identifies a database and the role that enters it. */
export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** The `options` of the start-up message: they can name another search path or role. */
  readonly options: string;
}

const PORT_MAX = 65_535;
const MASK = "***";
const EXAMPLE = "postgresql://user:password@host:5432/database";

/**
 * Reads host, port, database and user as `pg` would.
 *
 * @param config - Options of `pg`, with or without `connectionString`.
 * @param field - How the caller calls them, for messages.
 * @throws {ConnectionError} `BAD_CONNECTION` when `pg` could not connect with them at all.
 */
export function readTarget(config: Record<string, unknown>, field: string): ConnectionTarget {
  const text = config["connectionString"];
  if (typeof text === "string") assertReadable(text, field);
  const client = parse(config, field);
  const { host, port } = client;
  if (!Number.isInteger(port) || port < 1 || port > PORT_MAX) {
    const value = typeof text === "string" ? text : config["port"];
    throw badTarget(`${field}.port`, value, `must be a whole number of 1..${PORT_MAX}`);
  }
  const options = client.connectionParameters.options ?? "";
  return { host, port, database: client.database ?? "", user: client.user ?? "", options };
}

/** `host:port/database`. */
export function describeTarget(target: ConnectionTarget): string {
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  return `${host}:${target.port}/${target.database}`;
}

/**
 * Takes every password out of a connection string, also of one that cannot be parsed.
 *
 * Masks too much rather than too little: from the first colon of the user part to the last `@`.
 */
export function maskPasswords(text: string): string {
  return text
    .replace(/^([a-z0-9+.-]*:\/\/[^:@/?#]*):.*@/is, `$1:${MASK}@`)
    .replace(/(pass(?:word|wd)?\s*[=:]\s*)('[^']*'|"[^"]*"|[^\s&;,'"]+)/gi, `$1${MASK}`);
}

/** The connection string without the given query parameters; all else keeps its spelling. */
export function withoutParameters(text: string, names: readonly string[]): string {
  const start = text.indexOf("?");
  if (start === -1) return text;
  const kept = text
    .slice(start + 1)
    .split("&")
    .filter((pair) => !names.includes(pair.split("=", 1)[0] ?? ""));
  return kept.length === 0 ? text.slice(0, start) : `${text.slice(0, start)}?${kept.join("&")}`;
}

/** What the types of `pg` leave out. */
type ParsedClient = pg.Client & { readonly connectionParameters: { readonly options?: string | null } };

/** Refuses what `pg` would read as something else than was meant. */
function assertReadable(text: string, field: string): void {
  if (!/^(postgres(ql)?:\/\/|\/|socket:)/i.test(text))
    throw badTarget(field, text, `must look like ${EXAMPLE}`);
  // A bare / ? or # ends the part with the password, and its rest would be taken for the database's name, and shown.
  const afterHost = /^[a-z]+:\/\/[^/?#]*(?<rest>.*)$/is.exec(text)?.groups?.["rest"] ?? "";
  if (!afterHost.includes("@")) return;
  throw badTarget(field, text, 'has an "@" behind its host; write / ? # @ in a password as %2F %3F %23 %40');
}

function parse(config: Record<string, unknown>, field: string): ParsedClient {
  try {
    // Only parses: a client opens nothing before connect(). Outside a run, whose guards refuse even an unopened socket.
    return outside(() => new pg.Client(config) as ParsedClient);
  } catch (error) {
    // The cause is left out on purpose: errors of URL carry the whole string, password included.
    const text = config["connectionString"];
    const reason = error instanceof Error ? maskPasswords(error.message).toLowerCase() : "unknown reason";
    throw badTarget(field, text ?? config, `cannot be read (${reason}); it must look like ${EXAMPLE}`);
  }
}

function badTarget(field: string, value: unknown, problem: string): ConnectionError {
  const shown = describeValue(typeof value === "string" ? maskPasswords(value) : value);
  return new ConnectionError("BAD_CONNECTION", { message: `${field} ${shown} ${problem}` });
}
