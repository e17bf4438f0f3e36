/**
 * The machine, as far as it decides the figures.
 */
import os from "node:os";

/** Facts by name. */
export function describeMachine(): Readonly<Record<string, string>> {
  const cpus = os.cpus();
  return {
    processor: `${cpus.length} x ${cpus[0]?.model ?? "unknown"}`,
    memory: `${Math.round(os.totalmem() / 1024 ** 3)} GiB`,
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    load: os
      .loadavg()
      .map((load) => load.toFixed(1))
      .join(" "),
  };
}
