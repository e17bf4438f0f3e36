/** Every command of docs/kubectl-memflow.md and of the README's terminal, as it stands there, beside a running `memflow dev`. */
import { chmod, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";
import { CliUser } from "../testing/cli-user.ts";
import { DevProcess } from "./testing/dev-process.ts";

/** The agent reads all documents, more than once. */
vi.setConfig({ testTimeout: 300_000 });

const PROJECT = fileURLToPath(new URL("../../..", import.meta.url));

/** The words of a line, with its quotes as a shell reads them. */
function words(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(?:[^\s']|(?<=\S)'[^']*')+/gu)].map(([word, quoted]) =>
    quoted === undefined ? word.replaceAll("'", "") : quoted,
  );
}

/** The commands of a section's first block, without the words that call this program. */
async function commandsOf(
  page: string,
  section: string,
  program: readonly string[],
): Promise<readonly { readonly line: string; readonly args: readonly string[] }[]> {
  const text = await readFile(path.join(PROJECT, page), "utf8");
  const [, block = ""] = new RegExp(`## ${section}\\n[^]*?\`\`\`sh\\n([^]*?)\`\`\``, "u").exec(text) ?? [];
  return block
    .trim()
    .split("\n")
    .map((line) => {
      const all = words(line);
      expect(all.slice(0, program.length)).toEqual(program);
      return { line, args: all.slice(program.length) };
    });
}

test("each of them runs as it stands", async () => {
  const commands = [
    ...(await commandsOf("docs/kubectl-memflow.md", "First commands", ["kubectl", "memflow"])),
    ...(await commandsOf("README.md", "From a terminal", ["npm", "run", "memflow", "--"])),
  ];
  expect(commands.length).toBeGreaterThan(20);
  const user = await CliUser.make([]);
  if (process.geteuid?.() === 0) await chmod(user.folder, 0o711);
  const place = { dataDir: path.join(user.folder, ".memflow"), ledgerFile: path.join(user.folder, "ledger") };
  const dev = new DevProcess(place, ["-f", path.join(PROJECT, "examples", "research-agent")]);
  onTestFinished(() => dev.killTree().catch(() => undefined));
  await dev.untilPrinted(/gateway +http/u);
  for (const { line, args } of commands) {
    const { code, out, err } = await user.run(...args);
    expect(code, `${line}\n${out}${err}`).toBe(0);
  }
});
