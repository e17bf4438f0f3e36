/**
 * One engine client per connection and namespace in a process, shared by all that need one, closed by `shutdown`.
 */
import { StoreClient } from "@memflow/engine";
import type { ConnectionSource } from "@memflow/engine";

const clients = new Map<string, Promise<StoreClient>>();

/** The client of a namespace; opens it when it is the first. */
export async function sharedClient(source: ConnectionSource, namespace: string): Promise<StoreClient> {
  const key = `${source.key} ${namespace}`;
  let client = clients.get(key);
  if (client === undefined) {
    client = StoreClient.open(source, namespace);
    clients.set(key, client);
    client.catch(() => clients.delete(key));
  }
  return await client;
}

/** Closes every client of the process. */
export async function closeSharedClients(): Promise<void> {
  const open = [...clients.values()];
  clients.clear();
  for (const client of await Promise.allSettled(open)) {
    if (client.status === "fulfilled") await client.value.close();
  }
}
