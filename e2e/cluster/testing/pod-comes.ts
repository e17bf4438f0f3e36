/** Waits for a pod whose name nobody knows yet. */
import { PODS, Reflector } from "@memflow/operator/kube";
import type { Pod } from "@memflow/operator/kube";
import type { ScenarioBench } from "./scenario-bench.ts";

/** A pod, and when this process heard of it. */
export interface ComingPod {
  readonly pod: Pod;
  /** Of `Date.now()`: an object's own time has no more than seconds. */
  readonly heardAtMs: number;
}

/**
 * Begins to watch for the first pod that a selector finds, and resolves once the watch stands.
 *
 * @returns `pod`, which resolves when there is one, or rejects when the test's time is up.
 */
export async function podComes(
  bench: ScenarioBench,
  labelSelector: string,
): Promise<{ readonly pod: Promise<ComingPod> }> {
  const { client, namespace, signal } = bench;
  const reflector = new Reflector({
    client,
    type: PODS,
    selection: { namespace, labelSelector },
    log: () => {},
  });
  const coming = Promise.withResolvers<ComingPod>();
  reflector.onChange((change) => {
    if (change.type === "added") coming.resolve({ pod: change.object, heardAtMs: Date.now() });
  });
  const late = (): void => coming.reject(new Error(`no pod of "${labelSelector}" came`));
  signal.addEventListener("abort", late, { once: true });
  reflector.start();
  const pod = endOf(coming.promise, async () => {
    signal.removeEventListener("abort", late);
    await reflector.stop();
  });
  // Who does not wait for it in the end has failed before.
  pod.catch(() => {});
  await reflector.whenSynced();
  return { pod };
}

async function endOf<Result>(work: Promise<Result>, cleanUp: () => Promise<void>): Promise<Result> {
  try {
    return await work;
  } finally {
    await cleanUp();
  }
}
