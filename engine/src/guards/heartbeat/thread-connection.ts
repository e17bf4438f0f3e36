/**
 * Options of `pg` made fit to cross into the heartbeat thread.
 *
 * Promises that nothing is silently left out that decides where, as whom or how safely a connection is made: what
 * cannot cross is an error that names the option. A password function stays here and is asked for each connection.
 */
import type pg from "pg";
import { OptionError } from "../../core/errors.ts";

/** What crosses, and what stays. */
export interface ThreadConnection {
  readonly config: pg.ClientConfig;
  /** Asked on the main thread, as it may need what lives there; undefined when the password is plain. */
  readonly askPassword: (() => Promise<string>) | undefined;
}

/** Options that are functions or objects with methods and have no bearing on a heartbeat. */
const IRRELEVANT: readonly string[] = ["types", "Client", "Promise", "log", "onConnect", "verify"];

/**
 * Copies the options of a client.
 *
 * @param config - As `new pg.Client(config)` takes it.
 * @throws {OptionError} When an option is a function or another value that no thread can be given.
 */
export function toThreadConnection(config: pg.ClientConfig): ThreadConnection {
  const { password, ...rest } = { ...config, password: config.password };
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(rest)) {
    if (!IRRELEVANT.includes(name) && value !== undefined) copy[name] = cloneOption(name, value);
  }
  // As pg does, so that a private key does not show in logs, it may be hidden from enumeration.
  const { ssl } = config;
  if (typeof ssl === "object" && ssl.key !== undefined)
    copy["ssl"] = { ...(copy["ssl"] as object), key: ssl.key };
  if (typeof password !== "function") {
    return { config: password === undefined ? copy : { ...copy, password }, askPassword: undefined };
  }
  return { config: copy, askPassword: async () => password() };
}

function cloneOption(name: string, value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    // The cause would only repeat that something could not be cloned.
    throw new OptionError({
      field: `connection.${name}`,
      value,
      remedy:
        "the heartbeat thread opens its own connection, so give plain values: no functions, no open handles",
    });
  }
}
