/**
 * `npm run simulate:scaling`: plays every load under every rule, prints the figures, and writes the pictures and tables of
 * docs/scaling.md. The same input gives the same bytes; `pages.test.ts` holds the committed ones to that.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { fillRegions } from "./markdown.ts";
import { outcomeTable, pageRegions, pictures, playAll } from "./pages.ts";

const DOCS = new URL("../../../../docs/", import.meta.url);

const played = playAll();
for (const [path, svg] of pictures(played)) {
  const file = fileURLToPath(new URL(path, DOCS));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, svg);
}
const page = new URL("scaling.md", DOCS);
writeFileSync(page, fillRegions(readFileSync(page, "utf8"), pageRegions(played)));
console.log(outcomeTable(played));
