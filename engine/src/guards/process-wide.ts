/**
 * One value per process, shared by every copy of the engine that is loaded into it.
 *
 * The guards patch globals, and two copies (two versions in one node_modules, or one module evaluated twice) must not
 * patch each other's patches. Does not share anything between threads.
 */

/**
 * Finds the value of this name, or makes it when it is the first time.
 *
 * @param name - Names the value; a change of its shape needs another name, since an older copy may have made it.
 * @param make - Called at most once per process and name.
 */
export function processWide<Value extends object>(name: string, make: () => Value): Value {
  const key = Symbol.for(`memflow.${name}`);
  const globals = globalThis as { [key]?: Value };
  globals[key] ??= make();
  return globals[key];
}
