/**
 * One engine client per connection and namespace in a process, shared by all that need one, closed by `shutdown`.
 */
import { StoreClient } from "@memflow/engine";
import type { ConnectionSource } from "@memflow/engine";

/** By connection, then by namespace. */
const clients = new Map<string, Map<string, Promise<StoreClient>>>();

/** The client of a namespace; opens it when it is the first. */
export function sharedClient(source: ConnectionSource, namespace: string): Promise<StoreClient> {
  let ofSource = clients.get(source.key);
  if (ofSource === undefined) clients.set(source.key, (ofSource = new Map()));
  const known = ofSource.get(namespace);
  if (known !== undefined) return known;
  const opened = StoreClient.open(source, namespace);
  const kept = ofSource;
  kept.set(namespace, opened);
  opened.catch(() => {
    if (kept.get(namespace) === opened) kept.delete(namespace);
  });
  return opened;
}

/** Closes every client of the process. */
export async function closeSharedClients(): Promise<void> {
  const open = [...clients.values()].flatMap((ofSource) => [...ofSource.values()]);
  clients.clear();
  for (const client of await Promise.allSettled(open)) {
    if (client.status === "fulfilled") await client.value.close();
  }
}
