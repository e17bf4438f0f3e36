/**
 * Tells the cluster's users how to know the gateway: the ConfigMap that its clients read before they send a credential.
 *
 * | key | holds |
 * |---|---|
 * | `ca.crt` | authorities that the serving certificate is verified with; not there: those that the client's system knows |
 * | `serverName` | the name that the certificate has to have, however the gateway is reached |
 */
import { isDeepStrictEqual } from "node:util";
import { CONFIG_MAPS } from "@memflow/operator/kube";
import type { KubeClient } from "@memflow/operator/kube";

/** Of the ConfigMap, in the gateway's own namespace. */
export const AUTHORITY_CONFIG_MAP = "memflow-gateway-ca";

/** Writes it; nothing changes where it says so already. */
export async function publishAuthority(
  client: KubeClient,
  published: {
    readonly namespace: string;
    readonly authority: string | undefined;
    readonly serverName: string;
  },
): Promise<void> {
  const { namespace, authority, serverName } = published;
  const data = { ...(authority === undefined ? {} : { "ca.crt": authority }), serverName };
  const found = await client.find(CONFIG_MAPS, { namespace, name: AUTHORITY_CONFIG_MAP });
  if (isDeepStrictEqual(found?.data, data)) return;
  await client.apply(
    CONFIG_MAPS,
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      // Labels are left to whoever made it: the chart.
      metadata: { name: AUTHORITY_CONFIG_MAP, namespace },
      data,
    },
    { fieldManager: "memflow-gateway" },
  );
}
