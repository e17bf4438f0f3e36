/** The providers there are, and whether one is at hand in this run. */
import { kindProvider } from "./kind/kind-provider.ts";
import { localProvider } from "./local/local-provider.ts";
import type { ClusterProvider } from "./provider.ts";

export const PROVIDERS: readonly ClusterProvider[] = [localProvider, kindProvider];

/** The variable that says what a run does where no cluster can be had: `required`, `off`, or neither. */
const MODE_VARIABLE = "E2E";

/**
 * Finds a provider by name.
 *
 * @throws {RangeError} When there is none.
 */
export function providerNamed(name: string): ClusterProvider {
  const provider = PROVIDERS.find((candidate) => candidate.name === name);
  if (provider !== undefined) return provider;
  throw new RangeError(`provider "${name}" is not one of ${PROVIDERS.map((known) => known.name).join(", ")}`);
}

/** Whether a missing cluster is a failure. */
function isRequired(): boolean {
  return process.env[MODE_VARIABLE] === "required";
}

/**
 * Makes a provider ready for tests.
 *
 * With `E2E=required` whatever lacks is installed and built. Else nothing is: that takes long, and changes the machine.
 *
 * @returns Why tests on it are to be skipped; undefined when clusters can be started.
 * @throws When it is required and can't run here.
 */
export async function readyProvider(provider: ClusterProvider): Promise<string | undefined> {
  if (process.env[MODE_VARIABLE] === "off") return `${MODE_VARIABLE}=off`;
  const reasons = await provider.missing();
  const reason = `no cluster of provider "${provider.name}": ${reasons.join("; ")}`;
  if (isRequired()) {
    if (reasons.length > 0) throw new Error(`${MODE_VARIABLE}=required, but ${reason}`);
    await provider.prepare();
    return undefined;
  }
  if (reasons.length > 0) return reason;
  if (await provider.isPrepared()) return undefined;
  return `no cluster of provider "${provider.name}": it is not built yet; run \`npm run e2e -- --prepare\``;
}
