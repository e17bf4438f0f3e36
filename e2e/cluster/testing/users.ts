/** Users of a cluster that have a client certificate and nothing else, as its own authority signs them. */
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { V1CertificateSigningRequest } from "@kubernetes/client-node";
import type { ResourceType, Wire } from "@memflow/operator/kube";
import type { ScenarioBench } from "./scenario-bench.ts";

/** A certificate and its key, as PEM. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

const SIGNING_REQUESTS: ResourceType<Wire<V1CertificateSigningRequest>> = {
  apiVersion: "certificates.k8s.io/v1",
  kind: "CertificateSigningRequest",
  plural: "certificatesigningrequests",
  namespaced: false,
  detail: "full",
};

/** Has a certificate signed for a user in groups; the request goes with the scenario. */
export async function clusterCertificate(
  bench: ScenarioBench,
  user: string,
  groups: readonly string[] = [],
): Promise<ClientCertificate> {
  const name = `${bench.namespace}-${user}`;
  const folder = await mkdtemp(join(tmpdir(), "memflow-user-"));
  try {
    const subject = `${groups.map((group) => `/O=${group}`).join("")}/CN=${user}`;
    const openssl = (...args: readonly string[]): void =>
      void execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key");
    openssl("req", "-new", "-key", "key", "-subj", subject, "-out", "csr");
    const request = (await readFile(join(folder, "csr"))).toString("base64");
    await bench.apply({
      apiVersion: SIGNING_REQUESTS.apiVersion,
      kind: SIGNING_REQUESTS.kind,
      metadata: { name },
      spec: { request, signerName: "kubernetes.io/kube-apiserver-client", usages: ["client auth"] },
    });
    bench.afterwards(async () => void (await bench.kubectl(["delete", "csr", name, "--ignore-not-found"])));
    await bench.kubectl(["certificate", "approve", name]);
    const signed = await bench.waitFor({
      type: SIGNING_REQUESTS,
      name,
      until: (object) => object?.status?.certificate !== undefined,
    });
    const cert = Buffer.from(signed.status?.certificate ?? "", "base64").toString();
    return { cert, key: await readFile(join(folder, "key"), "utf8") };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lets a user act as another; the right goes with the scenario. */
export async function letImpersonate(bench: ScenarioBench, user: string, other: string): Promise<void> {
  const group = "rbac.authorization.k8s.io";
  const apiVersion = `${group}/v1`;
  const name = `${bench.namespace}-${user}-as-${other}`;
  bench.afterwards(async () => {
    await bench.kubectl(["delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found"]);
  });
  await bench.apply([
    {
      apiVersion,
      kind: "ClusterRole",
      metadata: { name },
      rules: [{ apiGroups: [""], resources: ["users"], resourceNames: [other], verbs: ["impersonate"] }],
    },
    {
      apiVersion,
      kind: "ClusterRoleBinding",
      metadata: { name },
      roleRef: { apiGroup: group, kind: "ClusterRole", name },
      subjects: [{ kind: "User", name: user, apiGroup: group }],
    },
  ]);
}
