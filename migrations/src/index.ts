/**
 * The numbered SQL files of this folder, for those who apply them.
 *
 * Promises that the numbers run from 1 without a gap, so that a version says exactly which files stand. Does not connect
 * to anything: `@memflow/engine` applies the files.
 */
import { readdirSync } from "node:fs";

/** One file `NNNN_name.sql`. */
export interface Migration {
  /** 1, 2, 3, ...: the version of a schema is the last one that stands. */
  readonly version: number;
  /** The file's name without its ending, as recorded in the schema. */
  readonly name: string;
  readonly file: URL;
}

/** The folder of the SQL files, as a `file:` URL that ends with a slash. */
export const MIGRATIONS_URL: URL = new URL("../sql/", import.meta.url);

const FILE_NAME = /^(?<number>\d{4})_[a-z0-9_-]+\.sql$/;

/**
 * Lists the files in the order in which they are applied.
 *
 * @param folder - Default: this package's own.
 * @returns Every migration, by version.
 * @throws {Error} When a file has another name or a number is missing or doubled.
 */
export function listMigrations(folder: URL = MIGRATIONS_URL): readonly Migration[] {
  const fileNames = readdirSync(folder).filter((name) => !name.startsWith("."));
  return fileNames.sort().map((fileName, index) => {
    const number = FILE_NAME.exec(fileName)?.groups?.["number"];
    if (number === undefined) {
      throw new Error(`migration "${fileName}" must be called like "0001_what-it-adds.sql"`);
    }
    const version = Number(number);
    if (version !== index + 1) {
      throw new Error(`migration "${fileName}" must have the number ${index + 1}: no gap, none twice`);
    }
    return { version, name: fileName.slice(0, -".sql".length), file: new URL(fileName, folder) };
  });
}

/** The version that a schema has when every file stands; 0 without files. */
export function latestVersion(folder: URL = MIGRATIONS_URL): number {
  return listMigrations(folder).length;
}
