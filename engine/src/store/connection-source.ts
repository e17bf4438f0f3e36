/**
 * Where a store's database is: every shape of `connection` that users write, made into one thing to open clients from.
 *
 * Promises never to connect, never to keep or use a client or pool that the user opened (their pool's settings are read,
 * its slots are not taken), and never to show a password. Does not know whether the database can be used: see
 * self-test.ts.
 */
import { createHash } from "node:crypto";
import pg from "pg";
import { ConnectionError, describeValue } from "../core/errors.ts";
import { describeTarget, maskPasswords, readTarget, withoutParameters } from "./connection-target.ts";
import { rowTypes } from "./row-types.ts";

/** A place to open connections to, as often as needed. */
export interface ConnectionSource {
  /** Equal for equal targets and roles, without the password: what may be shared is shared by it. */
  readonly key: string;
  /** True when the user wants to start and read only; the engine then never executes runs here. */
  readonly readonly: boolean;
  /** True when the user gave LISTEN up: waking is by polling alone. */
  readonly polling: boolean;
  /** True when statements of one session may reach different backends: no named statements, no session settings. */
  readonly pooled: boolean;
  /** A second way to the same database that goes around the pooler. */
  readonly direct?: ConnectionSource;
  /** A new client, not connected, with the given settings in place of the user's. */
  createClient(overrides: ClientOverrides): pg.Client;
  /** What a client of another thread is made from: the user's options, without those that the engine decides. */
  readonly config: pg.ClientConfig;
  /** `host:port/database`, without user and password. */
  describe(): string;
}

/** What the engine decides about a client. Everything else stays as the user gave it. */
export interface ClientOverrides {
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
}

/** How often a silent TCP connection is probed, so that firewalls keep it and a dead peer is noticed. */
const KEEP_ALIVE_INITIAL_DELAY_MS = 10_000;

/** Settings of `pg` that would change what the engine relies on: they are the engine's to decide. */
const OWN_PARAMETERS: readonly string[] = [
  "application_name",
  "fallback_application_name",
  "connectionTimeoutMillis",
  "connect_timeout",
  "query_timeout",
  "binary",
  "pipeline",
  "types",
  "keepAlive",
  "keepAliveInitialDelayMillis",
  "client_encoding",
  "replication",
];

const REMEDY =
  "give a connection string, { connectionString }, { class: pg.Client, options: { connectionString } } or a pg.Pool";

/**
 * Understands a `connection` as users write it.
 *
 * @param input - `{ class, options }` with `pg.Client`, `pg.Pool` or a Pool instance as the class; a Pool instance;
 *   `{ store, stream, sub }` (the store's is used); a connection string; `{ connectionString }` or other options of
 *   `pg`. Beside each: `readonly`, `polling`, `pooled`, `direct` (another such value); `provider` is ignored.
 * @param field - How the caller calls it, for messages; default `connection`.
 * @returns A source; nothing is connected yet.
 * @throws {ConnectionError} `BAD_CONNECTION` when nothing can be read from it.
 */
export function resolveConnection(input: unknown, field = "connection"): ConnectionSource {
  if (typeof input === "string") return sourceOf({ config: { connectionString: input }, field, flags: {} });
  if (!isObject(input)) throw badConnection(field, input);
  if ("store" in input) return resolveConnection(inheritFlags(input, input["store"]), `${field}.store`);
  const direct = input["direct"];
  return sourceOf({
    ...readConfig(input, field),
    flags: {
      readonly: flagOf(input, "readonly", field),
      polling: flagOf(input, "polling", field),
      pooled: flagOf(input, "pooled", field),
      ...(direct === undefined || direct === null
        ? {}
        : { direct: resolveConnection(direct, `${field}.direct`) }),
    },
  });
}

/**
 * The same source, known to go through a pooler in transaction mode or known not to.
 *
 * @param source - What the user gave.
 * @param pooled - What the self-test found.
 */
export function withPooled(source: ConnectionSource, pooled: boolean): ConnectionSource {
  return source.pooled === pooled ? source : { ...source, pooled };
}

/** Where LISTEN works: the direct connection when there is one; nowhere when the user chose polling. */
export function listenSource(source: ConnectionSource): ConnectionSource | undefined {
  if (source.direct !== undefined) return source.direct;
  return source.polling || source.pooled ? undefined : source;
}

interface PoolLike {
  readonly options: Record<string, unknown> & { readonly password?: unknown };
}

interface SourceFlags {
  readonly readonly?: boolean | undefined;
  readonly polling?: boolean | undefined;
  readonly pooled?: boolean | undefined;
  readonly direct?: ConnectionSource;
}

type ClientClass = new (config: pg.ClientConfig) => pg.Client;

interface SourceParts {
  readonly config: Record<string, unknown>;
  readonly field: string;
  readonly flags: SourceFlags;
  readonly clientClass?: ClientClass;
}

/**
 * The member `ssl` of a connection, for a mode of libpq. With an authority that signs nobody else, `verify-ca` leaves the server's
 * name unchecked; without one it is checked as by `verify-full`: the system's authorities sign for anyone.
 *
 * @param authority - PEM; the system's when left out.
 */
export function tlsOptions(mode: string, authority: string | undefined): unknown {
  if (mode === "disable") return false;
  if (mode === "require") return { rejectUnauthorized: false };
  if (authority === undefined) return {};
  return mode === "verify-ca" ? { ca: authority, checkServerIdentity: () => undefined } : { ca: authority };
}

function sourceOf({ config, field, flags, clientClass = pg.Client }: SourceParts): ConnectionSource {
  const clean = cleanConfig(config, field);
  const target = readTarget(clean, field);
  const { direct, readonly = false, polling = false } = flags;
  // Who names a second connection says by it that the first one is pooled.
  const pooled = flags.pooled ?? direct !== undefined;
  const identity = JSON.stringify([target, readonly, polling, pooled, direct?.key]);
  return {
    key: createHash("sha256").update(identity).digest("hex"),
    readonly,
    polling,
    pooled,
    ...(direct === undefined ? {} : { direct }),
    config: clean,
    createClient: ({ applicationName, connectTimeoutMs }) =>
      new clientClass({
        ...clean,
        application_name: applicationName,
        connectionTimeoutMillis: connectTimeoutMs,
        keepAlive: true,
        keepAliveInitialDelayMillis: KEEP_ALIVE_INITIAL_DELAY_MS,
        types: rowTypes,
      }),
    describe: () => describeTarget(target),
  };
}

/** Finds the options of `pg` in one of the accepted shapes. */
function readConfig(input: Record<string, unknown>, field: string): Omit<SourceParts, "flags"> {
  if (isPool(input)) return { config: input.options, field };
  if (!("class" in input)) return readBareOptions(input, field);
  const givenClass = input["class"];
  const options = input["options"];
  if (isPool(givenClass)) {
    // A pool hides its password from enumeration.
    const { password } = givenClass.options;
    return { config: { ...givenClass.options, password, ...(isObject(options) ? options : {}) }, field };
  }
  if (typeof givenClass !== "function") throw badConnection(`${field}.class`, givenClass);
  if (typeof options === "string")
    return { config: { connectionString: options }, field, ...ownClass(givenClass) };
  if (!isObject(options)) throw badConnection(`${field}.options`, options);
  return { config: options, field: `${field}.options`, ...ownClass(givenClass) };
}

function readBareOptions(input: Record<string, unknown>, field: string): Omit<SourceParts, "flags"> {
  const nested = input["options"];
  if (isObject(nested)) return { config: nested, field: `${field}.options` };
  const known = ["connectionString", "host", "port", "database", "user"].some(
    (name) => input[name] !== undefined,
  );
  if (!known) throw badConnection(field, input);
  return { config: input, field };
}

/** A subclass of our own `pg.Client` is used as it is; any other class only tells how to read the options. */
function ownClass(given: object): { readonly clientClass?: ClientClass } {
  return "prototype" in given && given.prototype instanceof pg.Client
    ? { clientClass: given as unknown as ClientClass }
    : {};
}

/** A copy without what the engine decides, whether it stands in the options or in the connection string. */
function cleanConfig(config: Record<string, unknown>, field: string): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const name of Object.keys(config)) {
    if (!OWN_PARAMETERS.includes(name)) clean[name] = config[name];
  }
  // A pool hides its password from enumeration.
  if (config["password"] !== undefined) clean["password"] = config["password"];
  const text = config["connectionString"];
  if (text === undefined || text === null) return clean;
  if (typeof text !== "string" || text.trim() === "") {
    throw badConnection(`${field}.connectionString`, text);
  }
  return { ...clean, connectionString: withoutParameters(text, OWN_PARAMETERS) };
}

/** `{ store, stream, sub }` says once for all three what holds for the store too. */
function inheritFlags(outer: Record<string, unknown>, inner: unknown): unknown {
  const flags = flagsOf(outer);
  if (typeof inner === "string") return { ...flags, connectionString: inner };
  if (isPool(inner)) return { ...flags, class: inner };
  return isObject(inner) ? { ...flags, ...inner } : inner;
}

function flagsOf(input: Record<string, unknown>): Record<string, unknown> {
  const flags: Record<string, unknown> = {};
  for (const name of ["readonly", "polling", "pooled", "direct"]) {
    if (input[name] !== undefined) flags[name] = input[name];
  }
  return flags;
}

function flagOf(input: Record<string, unknown>, name: string, field: string): boolean | undefined {
  const value = input[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "boolean") return value;
  throw new ConnectionError("BAD_CONNECTION", {
    message: `${field}.${name} must be true or false, got ${describeValue(value)}`,
  });
}

function badConnection(field: string, value: unknown): ConnectionError {
  // Masked before it is shortened: a cut-off string would hide where its password ends.
  const shown = describeValue(typeof value === "string" ? maskPasswords(value) : value);
  return new ConnectionError("BAD_CONNECTION", {
    message: `${field} is ${shown}, from which no database can be read; ${REMEDY}`,
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** A pool may come from another copy of `pg`, so its shape decides and not its class. */
function isPool(value: unknown): value is PoolLike {
  return (
    isObject(value) &&
    typeof value["connect"] === "function" &&
    typeof value["totalCount"] === "number" &&
    isObject(value["options"])
  );
}
