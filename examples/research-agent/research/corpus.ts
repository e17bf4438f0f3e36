/**
 * The corpus: the text documents below one folder (or one single file) that the agent reads.
 *
 * Promises the same order of documents on every machine, stays below the named limits, and says what it left out and why.
 * Follows no symbolic link, enters no hidden folder, keeps nothing between two calls.
 */
import { lstat, readdir, readFile } from "node:fs/promises";
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** One readable document of a corpus. */
export type CorpusDocument = {
  /** Path below the corpus' root, with `/` on every system. */
  readonly file: string;
  readonly bytes: number;
};

/** A file that was seen and left out. */
export type SkippedDocument = { readonly file: string; readonly reason: string };

/** What a corpus holds. */
export type CorpusListing = {
  /** Absolute path that every `file` is relative to. */
  readonly root: string;
  readonly documents: readonly CorpusDocument[];
  readonly skipped: readonly SkippedDocument[];
};

/** A corpus in figures. */
export type CorpusSurvey = {
  readonly root: string;
  readonly documentCount: number;
  readonly sentenceCount: number;
  /** The first of the documents that were left out. */
  readonly skipped: readonly SkippedDocument[];
  readonly skippedCount: number;
};

/** What lies beyond these bounds is listed as skipped. */
export const CORPUS_BYTES_MAX: number = 16 * 1024 * 1024;
export const DOCUMENT_BYTES_MAX: number = 1024 * 1024;
const CORPUS_DOCUMENTS_MAX = 500;

/** Deeper folders are not entered. */
const FOLDER_DEPTH_MAX = 12;

/** The corpus folder or file that was named does not exist, or may not be read. */
class CorpusNotFoundError extends Error {
  readonly code = "CORPUS_NOT_FOUND";
  readonly corpus: string;

  constructor(corpus: string, cause: unknown) {
    super(`corpus "${corpus}" not found: name a folder or file that the workers can read`, { cause });
    this.name = "CorpusNotFoundError";
    this.corpus = corpus;
  }
}

const TEXT_EXTENSIONS: ReadonlySet<string> = new Set([".md", ".markdown", ".txt", ".rst", ".adoc"]);
const SKIPPED_FOLDERS: ReadonlySet<string> = new Set(["node_modules", "dist", "coverage"]);

/** The project that this example is part of: its README and its docs are the corpus when none is named. */
const PROJECT_ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PROJECT_DOCUMENTS: readonly string[] = ["README.md", "CONTRIBUTING.md", "docs"];

/**
 * Lists the documents of a corpus, ordered by path.
 *
 * @param corpus - A folder or a file, relative to the worker's working directory; null for the project's own documents.
 * @throws {CorpusNotFoundError} When a named corpus cannot be read.
 */
export async function listCorpus(corpus: string | null): Promise<CorpusListing> {
  if (corpus === null) {
    const found: CorpusDocument[] = [];
    for (const name of PROJECT_DOCUMENTS) {
      found.push(...(await findDocuments(PROJECT_ROOT, join(PROJECT_ROOT, name))));
    }
    return withinLimits(PROJECT_ROOT, found);
  }
  const path = resolve(corpus);
  const stats = await lstat(path).catch((cause: unknown) => {
    throw new CorpusNotFoundError(corpus, cause);
  });
  const root = stats.isDirectory() ? path : dirname(path);
  return withinLimits(root, await findDocuments(root, path));
}

/** Reads one listed document; a byte-order mark is dropped and line ends become `\n`. */
export async function readDocument(root: string, file: string): Promise<string> {
  const text = await readFile(join(root, file), "utf8");
  return text.replace(/^\uFEFF/, "").replaceAll(/\r\n?/g, "\n");
}

async function findDocuments(root: string, path: string, depth = 0): Promise<CorpusDocument[]> {
  const stats = await lstat(path).catch((error: unknown) => {
    // Gone since its folder was read: it is not part of the corpus.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
  if (stats === undefined) return [];
  if (stats.isFile()) {
    if (!TEXT_EXTENSIONS.has(extname(path).toLowerCase())) return [];
    return [{ file: relative(root, path).split(sep).join("/"), bytes: stats.size }];
  }
  if (!stats.isDirectory() || depth > FOLDER_DEPTH_MAX) return [];
  const found: CorpusDocument[] = [];
  for (const name of await readdir(path)) {
    if (name.startsWith(".") || SKIPPED_FOLDERS.has(basename(name))) continue;
    found.push(...(await findDocuments(root, join(path, name), depth + 1)));
  }
  return found;
}

function withinLimits(root: string, found: readonly CorpusDocument[]): CorpusListing {
  const documents: CorpusDocument[] = [];
  const skipped: SkippedDocument[] = [];
  let corpusBytes = 0;
  // By code unit, not by locale: the same order wherever a worker runs.
  for (const document of found.toSorted((a, b) => (a.file < b.file ? -1 : 1))) {
    const reason = reasonToSkip(document, documents.length, corpusBytes);
    if (reason === null) {
      documents.push(document);
      corpusBytes += document.bytes;
    } else {
      skipped.push({ file: document.file, reason });
    }
  }
  return { root, documents, skipped };
}

function reasonToSkip(document: CorpusDocument, documentCount: number, corpusBytes: number): string | null {
  if (document.bytes > DOCUMENT_BYTES_MAX)
    return `has ${document.bytes} bytes, at most ${DOCUMENT_BYTES_MAX} are read`;
  if (documentCount >= CORPUS_DOCUMENTS_MAX) return `the corpus is full: ${CORPUS_DOCUMENTS_MAX} documents`;
  if (corpusBytes + document.bytes > CORPUS_BYTES_MAX) return `the corpus is full: ${CORPUS_BYTES_MAX} bytes`;
  return null;
}
