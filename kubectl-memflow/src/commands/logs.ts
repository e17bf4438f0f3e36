/** `logs`: what the workers of a run's queue wrote while it ran. */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { Pod } from "../connect/worker-pods.ts";
import type { CommandSession } from "../cli/command-session.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { readCount } from "./durations.ts";
import { findRun } from "./run-reference.ts";

/** The command line. */
export interface LogsOptions {
  readonly reference: string;
  readonly follow?: boolean;
  readonly tail?: string;
  readonly timestamps?: boolean;
  readonly previous?: boolean;
  readonly matching?: boolean;
}

/** Prints them, each line behind its pod's name where there are several. */
export async function logs(session: CommandSession, options: LogsOptions): Promise<number> {
  const { cluster, ...connection } = await session.connect();
  const run = await findRun({ cluster, ...connection }, options.reference);
  if (cluster === undefined) {
    throw new CommandError(
      EXIT_CODES.failure,
      "logs are those of pods, and this gateway has no cluster; memflow dev prints the lines of its workers itself",
    );
  }
  const { listWorkerPods, readPodLog } = await import("../connect/worker-pods.ts");
  const { client, namespace, store } = connection;
  const { body: queue } = await client.call("getQueue", {
    path: { namespace, queue: run.taskQueue },
    query: { store },
  });
  const pods = await listWorkerPods(cluster, namespace, queue.name ?? run.taskQueue);
  if (pods.length === 0) {
    throw new CommandError(
      EXIT_CODES.notFound,
      `queue "${run.taskQueue}" has no worker pods now\nnext: ${session.nextCommand(`queues ${run.taskQueue}`)}`,
    );
  }
  const signal = session.io.interruption();
  const tail = options.tail === undefined ? undefined : readCount(options.tail, "--tail");
  const words = options.matching === true ? [run.runId, run.workflowId] : undefined;
  const printPod = async (pod: Pod): Promise<void> => {
    const log = await readPodLog(cluster, pod, {
      follow: options.follow,
      tailLines: tail,
      timestamps: options.timestamps,
      previous: options.previous,
      sinceTime: run.startedAt.replace(/\.\d+Z$/u, "Z"),
      signal,
    });
    const prefix = pods.length === 1 ? "" : `[${pod.name}] `;
    for await (const line of createInterface({ input: Readable.from(log) })) {
      if (words === undefined || words.some((word) => line.includes(word)))
        session.printer.line(prefix + line);
    }
  };
  if (options.follow === true) await Promise.all(pods.map(printPod));
  else for (const pod of pods) await printPod(pod);
  return EXIT_CODES.done;
}
