/** The command line as a process meets it: help, usage errors, exit codes, and which stream says what. */
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { EXIT_CODES } from "../exit-codes.ts";
import type { CliIo } from "./cli-io.ts";
import { VERSION } from "./package-version.ts";
import { runCli } from "./run-cli.ts";

async function run(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = "";
  let err = "";
  const io: CliIo = {
    stdout: { write: (text) => void (out += text) },
    stderr: { write: (text) => void (err += text) },
    stdin: (async function* empty() {})(),
    environment: {},
    folder: tmpdir(),
    name: "kubectl memflow",
    interruption: () => new AbortController().signal,
  };
  const code = await runCli(args, io);
  return { code, out, err };
}

test("--help goes to stdout, names every command and the exit codes, and ends well", async () => {
  const { code, out, err } = await run("--help");
  expect({ code, err }).toEqual({ code: EXIT_CODES.done, err: "" });
  for (const name of [
    "start",
    "execute",
    "get",
    "list",
    "describe",
    "history",
    "result",
    "signal",
    "query",
    "entity",
    "cancel",
    "interrupt",
    "terminate",
    "export",
    "trace",
    "logs",
    "queues",
    "workflows",
    "schedules",
    "report",
    "dev",
    "completion",
    "version",
    "whoami",
  ]) {
    expect(out).toMatch(new RegExp(`^  ${name}\\b`, "mu"));
  }
  expect(out).toContain("10 the run failed");
});

test.each([
  ["an unknown command", ["lst"], /unknown command 'lst'\n\(Did you mean one of list, ls\?\)/u],
  ["an unknown option", ["list", "--fast"], /unknown option '--fast'/u],
  ["a missing argument", ["describe"], /missing required argument 'run'/u],
  ["an unknown form", ["list", "-o", "xml"], /no output form "xml"/u],
  [
    "an input that is no JSON",
    ["start", "greet", "--server", "http://127.0.0.1:1", "-i", "{"],
    /--input is no JSON/u,
  ],
  ["two inputs", ["start", "greet", "-i", "1", "--args", "[]"], /exclude each other/u],
  ["a missing kubeconfig", ["list", "--kubeconfig", "/nowhere/config"], /can't be read.*--server/su],
])("%s is a usage error on stderr, with what to do", async (_claim, args, message) => {
  const { code, out, err } = await run(...args);
  expect({ code, out }).toEqual({ code: EXIT_CODES.usage, out: "" });
  expect(err).toMatch(message);
});

test("a gateway that is not there is a failure that says how to check", async () => {
  const { code, out, err } = await run("list", "--server", "http://127.0.0.1:1");
  expect({ code, out }).toEqual({ code: EXIT_CODES.failure, out: "" });
  expect(err).toMatch(
    /^kubectl memflow: the gateway can't be reached: .*ECONNREFUSED.*\nnext: check --server/su,
  );
});

test("the version is the package's, also without a gateway", async () => {
  const manifest = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  expect(VERSION).toBe((JSON.parse(manifest) as { readonly version: string }).version);
  const { code, out } = await run("version", "--client");
  expect(code).toBe(EXIT_CODES.done);
  expect(out).toMatch(new RegExp(`^client   ${VERSION.replaceAll(".", "\\.")} \\(Node v`, "u"));
});

test("words are completed: commands, options, and nothing where the gateway does not answer", async () => {
  expect((await run("__complete", "te")).out).toMatch(/^terminate\tEnds runs at once\.\n:4\n$/u);
  expect((await run("__complete", "list", "--wor")).out).toMatch(/^--workflow\t.*\n:4\n$/u);
  expect((await run("__complete", "schedules", "tri")).out).toMatch(/^trigger\t.*\n:4\n$/u);
  expect((await run("__complete", "dev", "-f", "")).out).toBe(":0\n");
  const { code, out } = await run("__complete", "--server", "http://127.0.0.1:1", "get", "");
  expect({ code, out }).toEqual({ code: EXIT_CODES.done, out: ":4\n" });
});

test.each(["bash", "zsh", "fish"])("the completion of %s is printed", async (shell) => {
  expect((await run("completion", shell)).out).toContain("__complete");
});
