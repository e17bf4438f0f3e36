/**
 * What a worker process is told by its environment.
 *
 * | variable | meaning | default |
 * |---|---|---|
 * | MEMFLOW_DATABASE_URL | connection string of the Store's Postgres | required |
 * | MEMFLOW_DIRECT_DATABASE_URL | the same around a pooler in transaction mode, for LISTEN | none |
 * | MEMFLOW_DATABASE_URL_FILE, MEMFLOW_DIRECT_DATABASE_URL_FILE | file that holds it, where the variable itself is not set | none |
 * | MEMFLOW_MAX_CONNECTIONS | connections that the worker may open, 4 to 50 | 8 |
 * | MEMFLOW_TASK_QUEUE | queue to serve | required |
 * | MEMFLOW_MODULE | folder or module with the workflows | required |
 * | MEMFLOW_NAMESPACE | schema of the Store | memflow |
 * | MEMFLOW_HOST | address of the health server | all addresses |
 * | MEMFLOW_PORT | port of the health server, 0 for any | 8080 |
 * | MEMFLOW_MAX_ACTIVITIES | activities at once, 1 to 100000 | 100 |
 * | MEMFLOW_MAX_RUNS | runs that are worked on at once, 1 to 100000 | 1000 |
 * | MEMFLOW_GRACE_MS | how long activities may finish after SIGTERM | 30000 |
 * | MEMFLOW_BUILD_ID | name of this build of the code | none: runs are not pinned |
 *
 * Pure but for files that the environment names. Promises one error that names every variable that is missing or bad, and never shows a password.
 */
import { readFileSync } from "node:fs";

/** The settings, checked. */
export interface WorkerSettings {
  readonly databaseUrl: string;
  /** Around a pooler. */
  readonly directDatabaseUrl: string | undefined;
  readonly connectionMax: number;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly module: string;
  readonly host: string | undefined;
  readonly port: number;
  readonly activityMax: number;
  readonly runMax: number;
  readonly graceMs: number;
  readonly buildId: string | undefined;
}

/** The environment lacks something or holds something bad. */
export class SettingsError extends Error {
  readonly code = "BAD_SETTINGS";
  /** Names of the variables at fault. */
  readonly variables: readonly string[];

  constructor(faults: readonly SettingFault[]) {
    super(faults.map((fault) => `${fault.variable} ${fault.reason}`).join("; "));
    this.name = "SettingsError";
    this.variables = faults.map((fault) => fault.variable);
  }
}

interface SettingFault {
  readonly variable: string;
  readonly reason: string;
}

const NAME_CHARACTERS_MAX = 128;
const PORT_MAX = 65_535;
const ACTIVITY_MAX = 100_000;
/** With fewer a worker does not work, with more it does not work faster; a Store's `pool.maxPerWorker` may say up to 50. */
const CONNECTION_BOUNDS = { fallback: 8, min: 4, max: 50 };
const RUN_MAX = 100_000;
const GRACE_MS_MAX = 24 * 3_600_000;

/**
 * Reads the settings.
 *
 * @throws {SettingsError} Naming each variable that is missing or bad.
 */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): WorkerSettings {
  const faults: SettingFault[] = [];
  const read = new EnvironmentReader(environment, faults);
  const settings: WorkerSettings = {
    databaseUrl: read.connectionString("MEMFLOW_DATABASE_URL") ?? read.path("MEMFLOW_DATABASE_URL"),
    directDatabaseUrl: read.connectionString("MEMFLOW_DIRECT_DATABASE_URL"),
    connectionMax: read.integer("MEMFLOW_MAX_CONNECTIONS", CONNECTION_BOUNDS),
    namespace: read.text("MEMFLOW_NAMESPACE", "memflow"),
    taskQueue: read.text("MEMFLOW_TASK_QUEUE"),
    module: read.path("MEMFLOW_MODULE"),
    host: read.optional("MEMFLOW_HOST"),
    port: read.integer("MEMFLOW_PORT", { fallback: 8_080, min: 0, max: PORT_MAX }),
    activityMax: read.integer("MEMFLOW_MAX_ACTIVITIES", { fallback: 100, min: 1, max: ACTIVITY_MAX }),
    runMax: read.integer("MEMFLOW_MAX_RUNS", { fallback: 1_000, min: 1, max: RUN_MAX }),
    graceMs: read.integer("MEMFLOW_GRACE_MS", { fallback: 30_000, min: 0, max: GRACE_MS_MAX }),
    buildId: read.optional("MEMFLOW_BUILD_ID"),
  };
  if (faults.length > 0) throw new SettingsError(faults);
  return settings;
}

/** Reads variables one by one and collects what is wrong with them. */
class EnvironmentReader {
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #faults: SettingFault[];

  constructor(environment: Readonly<Record<string, string | undefined>>, faults: SettingFault[]) {
    this.#environment = environment;
    this.#faults = faults;
  }

  optional(variable: string): string | undefined {
    const value = this.#environment[variable];
    return value === undefined || value === "" ? undefined : value;
  }

  path(variable: string): string {
    return this.optional(variable) ?? this.#fault(variable, "is missing: set it in the worker's environment");
  }

  text(variable: string, fallback?: string): string {
    const value = this.optional(variable) ?? fallback;
    if (value === undefined) return this.path(variable);
    if (value.length <= NAME_CHARACTERS_MAX) return value;
    return this.#fault(variable, `has ${value.length} characters, must have <= ${NAME_CHARACTERS_MAX}`);
  }

  connectionString(variable: string): string | undefined {
    const value = this.optional(variable);
    if (value !== undefined) return this.#checkConnectionString(variable, value);
    const fileVariable = `${variable}_FILE`;
    const file = this.optional(fileVariable);
    if (file === undefined) return undefined;
    try {
      return this.#checkConnectionString(fileVariable, readFileSync(file, "utf8").trim());
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return this.#fault(fileVariable, `names "${file}", which can't be read (${code ?? String(error)})`);
    }
  }

  integer(
    variable: string,
    bounds: { readonly fallback: number; readonly min: number; readonly max: number },
  ): number {
    const value = this.optional(variable);
    if (value === undefined) return bounds.fallback;
    const number = /^\d+$/u.test(value) ? Number(value) : Number.NaN;
    if (number >= bounds.min && number <= bounds.max) return number;
    this.#fault(variable, `is "${value}", must be a whole number from ${bounds.min} to ${bounds.max}`);
    return bounds.fallback;
  }

  #checkConnectionString(variable: string, value: string): string {
    if (/^postgres(ql)?:\/\//u.test(value) && URL.canParse(value)) return value;
    // The value may hold a password in any place, so nothing of it is shown.
    return this.#fault(
      variable,
      'is no connection string: write it as "postgres://user:password@host:port/database"',
    );
  }

  #fault(variable: string, reason: string): string {
    this.#faults.push({ variable, reason });
    return "";
  }
}
