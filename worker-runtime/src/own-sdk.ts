/**
 * Gives the user's code the very `@memflow/sdk` that the worker runs on.
 *
 * Workflow functions find their run through state of the SDK, so a second copy of it, from a `node_modules` of the user's,
 * would not know the run. With this, an import of `@memflow/sdk` from anywhere is the worker's own: the code needs no
 * `node_modules` at all, so that it may be mounted at any path. Everything else resolves as ever.
 */
import { registerHooks } from "node:module";

const SDK = "@memflow/sdk";

/** From here on every import of the SDK in this process is the worker's own. */
export function useOwnSdk(): void {
  registerHooks({
    resolve: (specifier, context, nextResolve) =>
      isSdk(specifier)
        ? nextResolve(specifier, { ...context, parentURL: import.meta.url })
        : nextResolve(specifier, context),
  });
}

function isSdk(specifier: string): boolean {
  return specifier === SDK || specifier.startsWith(`${SDK}/`);
}
