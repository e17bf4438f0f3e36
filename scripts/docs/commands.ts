/**
 * Finds npm commands in docs that name a script which does not exist.
 *
 * Looks at code: blocks and inline. Knows npm's own commands only as far as our docs use them, so that a new one has to be
 * looked at once.
 */
import type { Located, Markdown } from "./markdown.ts";

/** Names of scripts by the folder of their package.json, '' for the root. */
export type ScriptsByFolder = ReadonlyMap<string, ReadonlySet<string>>;

const COMMAND = /(?<![\w-])npm(?<words>(?: +[^\s`|&;)#"]+)+)/gu;
/** Commands of npm that run no script of ours. */
const OWN_COMMANDS: readonly string[] = ["ci", "install", "pack", "audit", "ls"];
/** Commands of npm that run the script of their own name. */
const SCRIPT_COMMANDS: readonly string[] = ["start", "test"];
const LANGUAGES: readonly string[] = ["", "sh", "bash", "console"];

/** The faults of a Markdown file's npm commands. */
export function checkCommands(
  file: string,
  { blocks, inlineCode }: Markdown,
  scripts: ScriptsByFolder,
): string[] {
  const blockLines = blocks
    .filter(({ language }) => LANGUAGES.includes(language))
    .flatMap(({ code, line }) =>
      code.split("\n").map((value, index): Located<string> => ({ value, line: line + index })),
    );
  return [...blockLines, ...inlineCode].flatMap(({ value, line }) =>
    [...value.matchAll(COMMAND)].flatMap(({ groups }) => {
      const fault = judge(groups?.["words"]?.trim().split(/ +/u) ?? [], scripts);
      return fault === undefined ? [] : [`${file}:${line}: ${fault}`];
    }),
  );
}

/** Judges the words after `npm`. */
function judge(words: readonly string[], scripts: ScriptsByFolder): string | undefined {
  const rest = [...words];
  let folder = "";
  while (rest[0]?.startsWith("-") === true) {
    if (rest.shift() === "--prefix") folder = rest.shift() ?? "";
  }
  const [command = "", argument = ""] = rest;
  if (OWN_COMMANDS.includes(command)) return undefined;
  const script = SCRIPT_COMMANDS.includes(command) ? command : argument;
  if (command !== script && command !== "run") {
    return `"npm ${words.join(" ")}" is no command that this check knows; use a script, or add it to scripts/docs/commands.ts`;
  }
  if (scripts.get(folder)?.has(script) === true) return undefined;
  const place = folder === "" ? "package.json" : `${folder}/package.json`;
  return `"npm ${words.join(" ")}" names the script "${script}", which ${place} does not have`;
}
