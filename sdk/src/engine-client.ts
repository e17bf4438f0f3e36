/**
 * The engine's client, from whatever the static calls of `Entity` and `Search` are given.
 */
import { OptionError, StoreClient } from "@memflow/engine";

/** A `Client`, or what its `getHotMeshClient()` returned. */
export type EngineClient = StoreClient | { getHotMeshClient(): Promise<StoreClient> };

/**
 * The engine's client of the namespace.
 *
 * @throws {OptionError} When `client` is neither.
 */
export async function engineOf(client: EngineClient): Promise<StoreClient> {
  if (client instanceof StoreClient) return client;
  const given = client as { getHotMeshClient?: unknown } | null | undefined;
  if (typeof given?.getHotMeshClient !== "function") {
    throw new OptionError({
      field: "client",
      value: client,
      remedy: "give a Client, or what its getHotMeshClient() returned",
    });
  }
  return await client.getHotMeshClient();
}
