/**
 * Watches manifests and code: says which files changed, once a burst of writes is over.
 *
 * Folders are watched with what is below them, but for hidden ones, packages and what was built. A folder that can't be watched is
 * told of, and the rest goes on.
 */
import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";

/** What is watched and who hears. */
export interface FileWatchOptions {
  /** Files are watched with their folder: editors write a new file in place of the old one. */
  readonly places: readonly string[];
  /** Absolute paths, at least one. */
  readonly onChange: (files: readonly string[]) => void;
  readonly onNotice: (notice: string) => void;
}

const BURST_MS = 200;
const LEFT_OUT = /(^|[/\\])(\.[^/\\]+|node_modules|dist)([/\\]|$)/u;

/** @see FileWatchOptions */
export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #watchers: FSWatcher[] = [];
  readonly #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  static async start(options: FileWatchOptions): Promise<FileWatch> {
    const watching = new FileWatch(options);
    const folders = await Promise.all(options.places.map(folderOf));
    for (const folder of new Set(folders)) watching.#watch(folder);
    return watching;
  }

  private constructor(options: FileWatchOptions) {
    this.#options = options;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
  }

  #watch(folder: string): void {
    const watcher = watch(folder, { recursive: true }, (_, name) => {
      if (name !== null && !LEFT_OUT.test(name)) this.#hear(path.join(folder, name));
    });
    watcher.on("error", (error) => {
      this.#options.onNotice(`changes in "${folder}" are not seen any more: ${error.message}`);
    });
    this.#watchers.push(watcher);
  }

  #hear(file: string): void {
    if (this.#isClosed) return;
    this.#changed.add(file);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const files = [...this.#changed];
      this.#changed.clear();
      this.#options.onChange(files);
    }, BURST_MS);
  }
}

async function folderOf(place: string): Promise<string> {
  const absolute = path.resolve(place);
  return (await stat(absolute)).isDirectory() ? absolute : path.dirname(absolute);
}
