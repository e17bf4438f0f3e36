/**
 * Loads the user's code: a module, or a folder with `workflows.ts` or `workflows/*.ts`.
 *
 * Every exported async function of those files is a workflow under its export's name. `activities.ts` in that folder, or
 * beside the module, is for activities that are called by name alone: every function that it exports is one. What workflows
 * hand to `proxyActivities` needs no such file. Nothing else tells an activity from a workflow, for both are async
 * functions. Files may end in .ts, .mts, .js or .mjs; Node strips the types. Promises one error that names the file when
 * something is missing, declared twice, or throws while it is imported.
 */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";

/** A function of the user. */
export type UserFunction = (...args: never[]) => unknown;

/** Functions of the user by name. */
export interface UserCode {
  readonly workflows: Readonly<Record<string, UserFunction>>;
  readonly activities: Readonly<Record<string, UserFunction>>;
}

/** The user's code can't be loaded. */
export class ModuleError extends Error {
  readonly code = "BAD_MODULE";
  /** File or folder at fault. */
  readonly file: string;

  constructor(file: string, reason: string, cause?: unknown) {
    super(`module "${file}" ${reason}`, cause === undefined ? undefined : { cause });
    this.name = "ModuleError";
    this.file = file;
  }
}

const ENDINGS = [".ts", ".mts", ".js", ".mjs"] as const;
const WORKFLOW_FILE_MAX = 1_000;

/**
 * Loads workflows and activities.
 *
 * @param location - Path of a module or folder, from the current folder.
 * @throws {ModuleError} BAD_MODULE, naming the file and the remedy.
 */
export async function loadUserCode(location: string): Promise<UserCode> {
  const root = path.resolve(location);
  const isModule = !(await isFolder(root));
  const workflows = await loadWorkflows(isModule ? [root] : await findWorkflowFiles(root));
  const activities = await findFile(isModule ? path.dirname(root) : root, "activities");
  return {
    workflows,
    activities: activities === undefined ? {} : functionsOf(await importFile(activities), () => true),
  };
}

async function loadWorkflows(files: readonly string[]): Promise<Record<string, UserFunction>> {
  const workflows: Record<string, UserFunction> = {};
  const origins = new Map<string, string>();
  for (const file of files) {
    const found = functionsOf(await importFile(file), isAsync);
    for (const [name, workflow] of Object.entries(found)) {
      const origin = origins.get(name);
      if (origin !== undefined && workflows[name] !== workflow) {
        throw new ModuleError(file, `exports a workflow "${name}" that "${origin}" exports too: rename one`);
      }
      origins.set(name, file);
      workflows[name] = workflow;
    }
  }
  if (origins.size === 0) {
    const place = files.length === 1 ? (files[0] ?? "") : path.dirname(files[0] ?? "");
    throw new ModuleError(place, "exports no workflow: export at least one async function");
  }
  return workflows;
}

async function findWorkflowFiles(root: string): Promise<readonly string[]> {
  const single = await findFile(root, "workflows");
  const folder = path.join(root, "workflows");
  const files = [...(single === undefined ? [] : [single]), ...(await listSources(folder))];
  if (files.length === 0) {
    throw new ModuleError(root, "has neither workflows.ts nor workflows/*.ts: add one, or name a module");
  }
  if (files.length > WORKFLOW_FILE_MAX) {
    throw new ModuleError(folder, `has ${files.length} files, must have <= ${WORKFLOW_FILE_MAX}`);
  }
  return files;
}

/** Sources of a folder in the order of their names; tests and declarations are none. */
async function listSources(folder: string): Promise<readonly string[]> {
  if (!(await isFolder(folder, "optional"))) return [];
  const names = await readdir(folder);
  return names
    .filter((name) => ENDINGS.some((ending) => name.endsWith(ending)))
    .filter((name) => !/\.(test|spec|d)\.m?[jt]s$/u.test(name))
    .toSorted()
    .map((name) => path.join(folder, name));
}

async function findFile(root: string, name: string): Promise<string | undefined> {
  const names = new Set(await readdir(root));
  const ending = ENDINGS.find((candidate) => names.has(`${name}${candidate}`));
  return ending === undefined ? undefined : path.join(root, `${name}${ending}`);
}

async function importFile(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw new ModuleError(
      file,
      `can't be imported: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    );
  }
}

function functionsOf(
  namespace: Readonly<Record<string, unknown>>,
  accept: (candidate: UserFunction) => boolean,
): Record<string, UserFunction> {
  const found: Record<string, UserFunction> = {};
  for (const [name, value] of Object.entries(namespace)) {
    if (typeof value !== "function") continue;
    const candidate = value as UserFunction;
    if (accept(candidate)) found[name === "default" ? candidate.name : name] = candidate;
  }
  return found;
}

function isAsync(candidate: UserFunction): boolean {
  return Object.prototype.toString.call(candidate) === "[object AsyncFunction]";
}

async function isFolder(target: string, missing: "optional" | "required" = "required"): Promise<boolean> {
  try {
    return (await stat(target)).isDirectory();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    if (missing === "optional") return false;
    throw new ModuleError(target, "does not exist: name a folder or a module", cause);
  }
}
