/**
 * How a function of Node is replaced by a guarded one that nobody can tell from it: same name, length, statics and
 * prototype, callable and constructible as before.
 *
 * Does not reach references that user code took before the guards were installed.
 */
import { getCallSites, promisify } from "node:util";
import { currentRun, inUserCode } from "./guard-hooks.ts";
import { runOutsideGuards } from "./outside-runs.ts";

/** Any function of a built-in module, before or after it is guarded. */
export type BuiltIn = (this: unknown, ...values: unknown[]) => unknown;

/** Which functions of one object are refused inside a run. */
export interface Refusal {
  readonly owner: object;
  /** What the violation calls the owner, such as `node:fs`; empty for a global. */
  readonly ownerName: string;
  readonly names: readonly string[];
  /** Calls that are harmless after all, told by their arguments. */
  readonly isHarmless?: (values: readonly unknown[]) => boolean;
}

const MODULE_LOADER_PREFIX = "node:internal/modules/";

/**
 * Replaces the function `owner[name]`; a name that this Node does not have is left alone.
 *
 * @param make - Builds the guarded function on the original one; return a `function`, as an arrow has no prototype.
 */
export function replaceFunction(owner: object, name: string, make: (original: BuiltIn) => BuiltIn): void {
  const descriptor = Object.getOwnPropertyDescriptor(owner, name);
  const original: unknown = descriptor?.value;
  if (descriptor === undefined || typeof original !== "function") return;
  const replacement = make(original as BuiltIn);
  adoptShape(replacement, original);
  Object.defineProperty(owner, name, { ...descriptor, value: replacement });
}

/** Lets each named function throw the run's violation inside a run, and do what it always did anywhere else. */
export function refuseInRuns(refusal: Refusal): void {
  for (const name of refusal.names) {
    replaceFunction(refusal.owner, name, (original) => refusing(original, name, refusal));
  }
}

/** Lets each named function throw what `makeError` makes inside a workflow or activity. */
export function refuseInUserCode(
  owner: object,
  names: readonly string[],
  makeError: (name: string, values: readonly unknown[]) => Error | undefined,
): void {
  for (const name of names) {
    replaceFunction(owner, name, (original) => {
      return function refusedInUserCode(this: unknown, ...values: unknown[]): unknown {
        const error = inUserCode() ? makeError(name, values) : undefined;
        if (error !== undefined) throw error;
        return Reflect.apply(original, this, values);
      };
    });
  }
}

/** Gives another owner the very function that the first one has now, as Node's own aliases do. */
export function aliasFunctions(source: object, target: object, names: readonly string[]): void {
  for (const name of names) {
    const descriptor = Object.getOwnPropertyDescriptor(target, name);
    if (descriptor?.configurable !== true) continue;
    const { enumerable = false } = descriptor;
    const value: unknown = Reflect.get(source, name);
    Object.defineProperty(target, name, { value, enumerable, writable: true, configurable: true });
  }
}

/** Gives a function the name, length, statics and prototype of another one. */
export function adoptShape(replacement: BuiltIn, original: object): void {
  Object.setPrototypeOf(replacement, Object.getPrototypeOf(original) as object | null);
  for (const key of Reflect.ownKeys(original)) {
    if (key === "arguments" || key === "caller") continue;
    if (key === promisify.custom && Object.hasOwn(replacement, key)) continue;
    const descriptor = Object.getOwnPropertyDescriptor(original, key);
    if (descriptor !== undefined) Object.defineProperty(replacement, key, descriptor);
  }
}

function refusing(original: BuiltIn, name: string, refusal: Refusal): BuiltIn {
  const call = refusal.ownerName === "" ? name : `${refusal.ownerName}.${name}`;
  const refused = function refusedInRuns(this: unknown, ...values: unknown[]): unknown {
    const run = currentRun();
    if (run !== undefined && refusal.isHarmless?.(values) !== true) {
      if (!isCalledByModuleLoader()) throw run.violation(call);
      // Outside, since the call may in turn make others that are refused, as readFileSync calls openSync.
      return runOutsideGuards(() => Reflect.apply(original, this, values));
    }
    if (new.target === undefined) return Reflect.apply(original, this, values);
    // A subclass keeps its own prototype; `new Guarded()` itself makes what the original would.
    const target: BuiltIn = new.target;
    return Reflect.construct(original, values, target.prototype === original.prototype ? original : target);
  };
  guardPromisified({ original, replacement: refused, call });
  return refused;
}

/** `promisify(exec)` takes a ready-made function from `exec`, which would go round the guard. */
function guardPromisified(options: {
  readonly original: BuiltIn;
  readonly replacement: BuiltIn;
  readonly call: string;
}): void {
  const { original, replacement, call } = options;
  const promisified: unknown = Object.getOwnPropertyDescriptor(original, promisify.custom)?.value;
  if (typeof promisified !== "function") return;
  Object.defineProperty(replacement, promisify.custom, {
    configurable: true,
    value: function refusedInRuns(this: unknown, ...values: unknown[]): unknown {
      const run = currentRun();
      if (run !== undefined) throw run.violation(call);
      return Reflect.apply(promisified, this, values);
    },
  });
}

/** Node's loader reads modules through the public `fs`, so an `import()` inside a run would else be refused there. */
function isCalledByModuleLoader(): boolean {
  // This function, the guarded one, and who called it.
  const [, , caller] = getCallSites(3);
  return caller?.scriptName.startsWith(MODULE_LOADER_PREFIX) === true;
}
