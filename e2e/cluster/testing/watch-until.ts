/**
 * Waits for a state of an object by a watch: no polling, and no state is missed that lasts.
 */
import { keyOf, Reflector } from "@memflow/operator/kube";
import type { KubeClient, KubeObject, ResourceType } from "@memflow/operator/kube";

/** An object, and how it is to be. */
export interface Awaited<T extends KubeObject> {
  readonly type: ResourceType<T>;
  readonly name: string;
  readonly namespace: string;
  /** Called with each state; `undefined` while the object is not there. */
  readonly until: (object: T | undefined) => boolean;
}

/**
 * Waits until the object is as wanted.
 *
 * @returns Its state then; what the server last had when it is to be gone.
 * @throws When the signal is aborted first: the message shows the last state.
 */
export async function watchUntil<T extends KubeObject>(
  client: KubeClient,
  { type, name, namespace, until }: Awaited<T>,
  signal: AbortSignal,
): Promise<T> {
  const selection = { ...(type.namespaced ? { namespace } : {}), fieldSelector: `metadata.name=${name}` };
  const reflector = new Reflector({ client, type, selection, log: () => {} });
  const key = keyOf(type.namespaced ? { name, namespace } : { name });
  let last: T | undefined;
  const reached = Promise.withResolvers<T>();
  const look = (object: T | undefined): void => {
    try {
      if (until(object)) reached.resolve(object ?? last ?? ({} as T));
    } catch (error) {
      reached.reject(error);
    }
    last = object ?? last;
  };
  const late = (): void => {
    reached.reject(
      new Error(
        `${type.kind} "${key}" did not become as wanted; last seen: ${JSON.stringify(last ?? null, undefined, 2)}`,
        { cause: signal.reason },
      ),
    );
  };
  signal.addEventListener("abort", late, { once: true });
  reflector.onChange((change) => look(change.type === "deleted" ? undefined : change.object));
  reflector.start();
  try {
    await Promise.race([reflector.whenSynced(), reached.promise]);
    if (reflector.store.get(key) === undefined) look(undefined);
    return await reached.promise;
  } finally {
    signal.removeEventListener("abort", late);
    await reflector.stop();
  }
}
