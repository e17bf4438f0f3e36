/** Claims about the corpus: what is read, in which order, and what is left out with which reason. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test as base } from "vitest";
import { CORPUS_BYTES_MAX, DOCUMENT_BYTES_MAX, listCorpus, readDocument } from "./corpus.ts";

const test = base.extend<{ folder: string }>({
  // oxlint-disable-next-line no-empty-pattern -- vitest asks for a destructured first parameter
  folder: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), "research-corpus-"));
    await use(folder);
    await rm(folder, { recursive: true });
  },
});

async function write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
  }
}

test("text documents of all folders are listed by path, everything else is not", async ({ folder }) => {
  await write(folder, {
    "b.md": "12345",
    "a/z.txt": "",
    "B.rst": "",
    "code.ts": "",
    ".hidden/x.md": "",
    "node_modules/p/README.md": "",
  });
  await symlink(join(folder, "b.md"), join(folder, "link.md"));
  expect(await listCorpus(folder)).toEqual({
    root: folder,
    documents: [
      { file: "B.rst", bytes: 0 },
      { file: "a/z.txt", bytes: 0 },
      { file: "b.md", bytes: 5 },
    ],
    skipped: [],
  });
});

test("a single file is a corpus", async ({ folder }) => {
  await write(folder, { "one.md": "x", "two.md": "y" });
  expect((await listCorpus(join(folder, "one.md"))).documents).toEqual([{ file: "one.md", bytes: 1 }]);
});

test("an empty folder is an empty corpus, a missing one is an error that names it", async ({ folder }) => {
  expect(await listCorpus(folder)).toEqual({ root: folder, documents: [], skipped: [] });
  const missing = join(folder, "nowhere");
  await expect(listCorpus(missing)).rejects.toMatchObject({ code: "CORPUS_NOT_FOUND", corpus: missing });
});

test("what exceeds the limits is listed as skipped", async ({ folder }) => {
  await write(folder, { "a.md": "x", "huge.md": "x".repeat(DOCUMENT_BYTES_MAX + 1) });
  const full = "x".repeat(DOCUMENT_BYTES_MAX);
  const count = CORPUS_BYTES_MAX / DOCUMENT_BYTES_MAX;
  await write(
    folder,
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index + 10}.md`, full])),
  );
  const { documents, skipped } = await listCorpus(folder);
  expect(documents).toHaveLength(count);
  expect(skipped).toEqual([
    { file: `c${count + 9}.md`, reason: expect.stringContaining("corpus is full") },
    { file: "huge.md", reason: expect.stringContaining("at most") },
  ]);
});

test("line ends and a byte-order mark don't move lines", async ({ folder }) => {
  await write(folder, { "a.md": "\uFEFFone\r\ntwo\rthree" });
  expect(await readDocument(folder, "a.md")).toBe("one\ntwo\nthree");
});

test("without a name, the project's own README and docs are the corpus", async () => {
  const files = (await listCorpus(null)).documents.map(({ file }) => file);
  expect(files).toEqual(expect.arrayContaining(["README.md", "docs/limits.md"]));
  expect(files.filter((file) => file.includes("/") && !file.startsWith("docs/"))).toEqual([]);
});
