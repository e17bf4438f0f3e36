/**
 * The Debian packages that a provider needs on this machine.
 *
 * Installs what lacks through apt, which needs root and a Debian or a system made from it; it removes and configures
 * nothing.
 */
import { runCommand, succeeds } from "./command.ts";

/** Those of the packages that are not installed. */
export async function missingPackages(names: readonly string[]): Promise<readonly string[]> {
  const installed = await Promise.all(names.map(isInstalled));
  return names.filter((_, index) => installed[index] === false);
}

/** Installs those of the packages that lack. */
export async function installPackages(names: readonly string[]): Promise<void> {
  const missing = await missingPackages(names);
  if (missing.length === 0) return;
  await runCommand("apt-get", ["update", "-q"]);
  await runCommand("apt-get", ["install", "-yq", "--no-install-recommends", ...missing], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
}

async function isInstalled(name: string): Promise<boolean> {
  return succeeds("sh", [
    "-c",
    'test "$(dpkg-query -W -f "\\${db:Status-Status}" "$1")" = installed',
    "sh",
    name,
  ]);
}
