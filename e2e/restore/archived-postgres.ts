/**
 * A Postgres whose write-ahead log is archived, and what an operator of databases does with it: take a base backup while it works,
 * and restore to a point in time.
 *
 * By the server's own means alone (pg_backup_start, copied files, archived log, recovery_target_name), as Postgres' manual
 * describes them: managed services and backup tools do the same.
 *
 * @see https://www.postgresql.org/docs/current/continuous-archiving.html
 */
import { startEmbeddedPostgres } from "@memflow/cli/embedded-postgres";
import type { EmbeddedPostgres } from "@memflow/cli/embedded-postgres";
import { eventually } from "@memflow/engine/testing";
import { chmod, copyFile, lchown, lstat, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";

const REMOVAL_RETRY_MAX = 50;
/** Of the primary's files these belong to its life, not to its data. */
const LEFT_OUT: ReadonlySet<string> = new Set(["postmaster.pid", "postmaster.opts", "pg_wal", "pgsql_tmp"]);

/** Files of a backup, not yet started. */
export interface BaseBackup {
  readonly folder: string;
}

/** The server and its archive; `remove` ends it and every server restored from it. */
export class ArchivedPostgres {
  readonly #root: string;
  readonly #primary: EmbeddedPostgres;
  readonly #restored: EmbeddedPostgres[] = [];

  private constructor(root: string, primary: EmbeddedPostgres) {
    this.#root = root;
    this.#primary = primary;
  }

  static async start(): Promise<ArchivedPostgres> {
    const root = await mkdtemp(join(tmpdir(), "memflow-restore-"));
    const archive = join(root, "archive");
    await mkdir(archive);
    // As root the server runs as another user, who writes into the archive.
    await Promise.all([chmod(root, 0o711), chmod(archive, 0o777)]);
    const primary = await startEmbeddedPostgres({
      dataDir: join(root, "primary"),
      settings: { archive_mode: "on", archive_command: `test ! -f ${archive}/%f && cp %p ${archive}/%f` },
    });
    return new ArchivedPostgres(root, primary);
  }

  get url(): string {
    return this.#primary.url;
  }

  /** Copies the files of the server while it works; `meanwhile` runs between the backup's begin and end. */
  async takeBaseBackup(meanwhile: () => Promise<void>): Promise<BaseBackup> {
    const folder = join(this.#root, "backup");
    const session = new pg.Client({ connectionString: this.url });
    await session.connect();
    try {
      await session.query("select pg_backup_start('restore test', fast => true)");
      await meanwhile();
      await copyTree(join(this.#root, "primary"), folder);
      const { rows } = await session.query<{ labelfile: string }>("select labelfile from pg_backup_stop()");
      const cluster = join(folder, "pgdata");
      await addFile(cluster, "backup_label", rows[0]?.labelfile ?? "");
      await makeLike(join(this.#root, "primary", "pgdata", "pg_wal"), join(cluster, "pg_wal"));
      return { folder };
    } finally {
      await session.end();
    }
  }

  /** Names this moment, so that a restore may end at it. */
  async nameMoment(name: string): Promise<void> {
    await this.#query(`select pg_create_restore_point('${name}')`);
  }

  /** Waits until everything up to now is in the archive, and kills the server. */
  async lose(): Promise<void> {
    const [last] = await this.#query<{ file: string }>("select pg_walfile_name(pg_switch_wal()) as file");
    await eventually("the log is archived", async () => {
      const [archived] = await this.#query<{ file: string | null }>(
        "select last_archived_wal as file from pg_stat_archiver",
      );
      return (archived?.file ?? "") >= (last?.file ?? "");
    });
    process.kill(this.#primary.pid, "SIGKILL");
    await this.#primary.exited;
  }

  /** Starts another server on the backup, brought forward to the named moment; it takes writes. */
  async restore({ folder }: BaseBackup, moment: string): Promise<string> {
    await addFile(join(folder, "pgdata"), "recovery.signal", "");
    const restored = await startEmbeddedPostgres({
      dataDir: folder,
      settings: {
        restore_command: `cp ${join(this.#root, "archive")}/%f %p`,
        recovery_target_name: moment,
        recovery_target_action: "promote",
      },
    });
    this.#restored.push(restored);
    await eventually("the restored server takes writes", async () => {
      const [state] = await query<{ recovering: boolean }>(
        restored.url,
        "select pg_is_in_recovery() as recovering",
      );
      return state?.recovering === false;
    });
    return restored.url;
  }

  async remove(): Promise<void> {
    await Promise.all([this.#primary, ...this.#restored].map((server) => server.stop()));
    await rm(this.#root, { recursive: true, force: true, maxRetries: REMOVAL_RETRY_MAX });
  }

  #query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
    return query(this.url, text);
  }
}

/** Rows of a statement, over a connection of its own. */
export async function query<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Copies files that change meanwhile, with their owners; one that goes before its turn is no part of the backup. */
async function copyTree(from: string, to: string): Promise<void> {
  await makeLike(from, to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (LEFT_OUT.has(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyTree(source, target);
    else await copyFile(source, target).then(() => ownLike(source, target), ignoreAbsence);
  }
}

/** Adds a file to a cluster, of the owner that its files have. */
async function addFile(cluster: string, name: string, text: string): Promise<void> {
  await writeFile(join(cluster, name), text);
  await ownLike(join(cluster, "PG_VERSION"), join(cluster, name));
}

async function makeLike(model: string, folder: string): Promise<void> {
  await mkdir(folder);
  await ownLike(model, folder);
}

async function ownLike(model: string, file: string): Promise<void> {
  const { uid, gid, mode } = await lstat(model);
  await chmod(file, mode & 0o777);
  if (process.geteuid?.() === 0) await lchown(file, uid, gid);
}

function ignoreAbsence(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}
