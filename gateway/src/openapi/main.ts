/**
 * Writes the files that are made from the table of operations, or checks that they are as they have to be.
 *
 * `node gateway/src/openapi/main.ts [--check]`: with `--check` nothing is written, each file that differs is named, and the
 * exit code is 1 when one does.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generatedFiles } from "./generated-files.ts";

const ROOT = join(import.meta.dirname, "../..");
const files = generatedFiles();
if (process.argv.includes("--check")) check();
else for (const { path, text } of files) writeFileSync(join(ROOT, path), text);

function check(): void {
  const stale = files.filter(({ path, text }) => readFileSync(join(ROOT, path), "utf8") !== text);
  for (const { path } of stale)
    console.error(
      `gateway/${path}: differs from gateway/src/api; run npm run generate and commit what it writes`,
    );
  console.log(`generated: ${files.length} files of the gateway checked, ${stale.length} faults`);
  process.exitCode = stale.length === 0 ? 0 : 1;
}
