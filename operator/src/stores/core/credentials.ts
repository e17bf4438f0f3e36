/**
 * Credentials as Secrets hold them: read from a connection string or from single keys, and written as one.
 *
 * Promises that no message holds a value of a Secret, and that what is written reads back the same. What a Secret says
 * about TLS is not taken: the Store's `connection.tls` says it.
 */

/** How to enter one database. */
export interface Credentials {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** Other parameters of the connection string, as they stood. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Credentials, or why there are none. */
export type CredentialsReading =
  | { readonly kind: "Read"; readonly credentials: Credentials }
  /** The key, and what could stand for it, is not there. */
  | { readonly kind: "Missing"; readonly message: string }
  | { readonly kind: "Invalid"; readonly message: string };

/** How the server is verified. */
export interface TlsRules {
  readonly mode: "disable" | "require" | "verify-ca" | "verify-full";
  /** PEM; undefined: the system's own authorities. */
  readonly authority: string | undefined;
}

const PORT = 5432;
const PORT_MAX = 65_535;
/** Parameters that say something about TLS, in libpq's words or in those of `pg`. */
const TLS_PARAMETERS: readonly string[] = [
  "ssl",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "sslpassword",
  "sslnegotiation",
  "uselibpqcompat",
];
const EXAMPLE = "postgresql://user:password@host:5432/database";

/**
 * Reads the values of a Secret.
 *
 * @param data - Decoded.
 * @param place - Where they stand, for messages, and the key of the connection string.
 */
export function readCredentials(
  data: Readonly<Record<string, string>>,
  { secretName, key }: { readonly secretName: string; readonly key: string },
): CredentialsReading {
  const uri = data[key];
  if (uri !== undefined) return readUri(uri.trim(), `key "${key}" of Secret "${secretName}"`);
  const { host, port, dbname, password } = data;
  const user = data["user"] ?? data["username"];
  const values = { host, dbname, user, password };
  const missing = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [name] : []));
  if (host === undefined || dbname === undefined || user === undefined || password === undefined) {
    const message = `Secret "${secretName}" has no key "${key}", and for single values it lacks ${missing.join(", ")}`;
    return { kind: "Missing", message };
  }
  const number = port === undefined ? PORT : portOf(port.trim());
  if (number === undefined) {
    const message = `key "port" of Secret "${secretName}" is no whole number of 1..${PORT_MAX}`;
    return { kind: "Invalid", message };
  }
  const credentials = {
    host: host.trim(),
    port: number,
    database: dbname.trim(),
    user: user.trim(),
    password,
  };
  return { kind: "Read", credentials: { ...credentials, parameters: {} } };
}

/**
 * The connection string for a pod.
 *
 * @param authorityPath - Where the pod finds the authority, when the rules have one.
 */
export function connectionUri(credentials: Credentials, tls: TlsRules, authorityPath: string): string {
  const { host, port, database, user, password, parameters } = credentials;
  const query = new URLSearchParams({ ...parameters, ...tlsParameters(tls, authorityPath) });
  const place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  // A "+" would be read as it stands by libpq, and as a blank by others: written as %20, all read a blank.
  const search = query.toString().replaceAll("+", "%20");
  return `postgresql://${login}@${place}/${encodeURI(database)}${search === "" ? "" : `?${search}`}`;
}

function tlsParameters({ mode, authority }: TlsRules, path: string): Readonly<Record<string, string>> {
  // `pg` takes "require" and "verify-ca" for "verify-full" unless it is told to read them as libpq does.
  const asLibpq = { uselibpqcompat: "true" };
  if (mode === "disable") return { sslmode: "disable" };
  if (mode === "require") return { sslmode: "require", ...asLibpq };
  // The system's authorities sign for anyone, so without one of its own a server must prove its name too.
  if (authority === undefined) return { sslmode: "verify-full" };
  if (mode === "verify-ca") return { sslmode: "verify-ca", sslrootcert: path, ...asLibpq };
  return { sslmode: "verify-full", sslrootcert: path };
}

function readUri(uri: string, place: string): CredentialsReading {
  const invalid = (problem: string): CredentialsReading => ({
    kind: "Invalid",
    message: `${place} ${problem}; write it as ${EXAMPLE}, with / ? # @ : % in the password as %2F %3F %23 %40 %3A %25`,
  });
  if (!/^postgres(?:ql)?:\/\//u.test(uri) || !URL.canParse(uri)) return invalid("is no connection string");
  const url = new URL(uri);
  if (url.hostname === "" || url.username === "") return invalid("names no host or no user");
  const port = url.port === "" ? PORT : portOf(url.port);
  if (port === undefined) return invalid("has a port that is none");
  try {
    const user = decodeURIComponent(url.username);
    const database = decodeURIComponent(url.pathname.slice(1));
    const parameters = [...url.searchParams].filter(([name]) => !TLS_PARAMETERS.includes(name));
    const credentials = {
      host: url.hostname.replace(/^\[(.*)\]$/u, "$1"),
      port,
      database: database === "" ? user : database,
      user,
      password: decodeURIComponent(url.password),
      parameters: Object.fromEntries(parameters),
    };
    return { kind: "Read", credentials };
  } catch (error) {
    // The only thing that throws: a "%" that begins no code.
    if (!(error instanceof URIError)) throw error;
    return invalid('has a "%" that begins no code');
  }
}

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/u.test(text) ? Number(text) : Number.NaN;
  return port >= 1 && port <= PORT_MAX ? port : undefined;
}
