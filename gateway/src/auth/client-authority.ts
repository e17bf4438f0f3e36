/**
 * The authority whose client certificates the cluster takes: `client-ca-file` of ConfigMap
 * kube-system/extension-apiserver-authentication, followed as it changes.
 *
 * Promises that only that key is read. The ConfigMap also names the authority of front proxies, whose headers say who
 * somebody is: such headers are never taken, whoever sends them.
 */
import { X509Certificate } from "node:crypto";
import { CONFIG_MAPS, errorFields, Reflector } from "@memflow/operator/kube";
import type { ConfigMap, KubeClient, Log } from "@memflow/operator/kube";

/** Certificates that clients' certificates may be signed by. */
export interface ClientAuthority {
  /** Grows with each change. */
  readonly generation: number;
  /** Empty: no client certificate is taken. */
  readonly certificates: readonly X509Certificate[];
  /**
   * Hears of each change after it.
   *
   * @returns Ends it.
   */
  onChange(handler: () => void): () => void;
}

/** One that is followed. */
export interface FollowedAuthority extends ClientAuthority {
  /** Whether the cluster was asked with success; the ConfigMap need not be there. */
  readonly synced: boolean;
  start(): void;
  stop(): Promise<void>;
}

const NAMESPACE = "kube-system";
const NAME = "extension-apiserver-authentication";
const KEY = "client-ca-file";
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/gu;

/** Follows the ConfigMap of a cluster; nothing is asked before `start`. */
export function followClientAuthority(client: KubeClient, log: Log): FollowedAuthority {
  const handlers = new Set<() => void>();
  let generation = 0;
  let text = "";
  let certificates: readonly X509Certificate[] = [];
  const reflector = new Reflector<ConfigMap>({
    client,
    type: CONFIG_MAPS,
    selection: { namespace: NAMESPACE, fieldSelector: `metadata.name=${NAME}` },
    log,
  });
  const take = (next: string): void => {
    if (next === text) return;
    text = next;
    certificates = readCertificates(next, log);
    generation += 1;
    log("info", "the authority of client certificates changed", { certificateCount: certificates.length });
    for (const handler of handlers) handler();
  };
  reflector.onChange((change) => {
    // A ConfigMap that was made anew is told as deleted and added.
    take(change.type === "deleted" ? "" : (change.object.data?.[KEY] ?? ""));
  });
  return {
    get synced() {
      return reflector.state.synced;
    },
    get generation() {
      return generation;
    },
    get certificates() {
      return certificates;
    },
    onChange(handler) {
      const own = (): void => handler();
      handlers.add(own);
      return () => void handlers.delete(own);
    },
    start: () => reflector.start(),
    stop: () => reflector.stop(),
  };
}

/** A block that can't be read is left out and told of; the others count. */
function readCertificates(text: string, log: Log): readonly X509Certificate[] {
  return [...text.matchAll(CERTIFICATE)].flatMap(([block]) => {
    try {
      return [new X509Certificate(block)];
    } catch (error) {
      log("error", "a certificate of the cluster's client authority can't be read", errorFields(error));
      return [];
    }
  });
}
