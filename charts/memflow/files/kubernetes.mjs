/** Asks the API server of the cluster that this pod runs in, with the pod's own service account. */
import { readFileSync } from "node:fs";

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
export const API_GROUP = "/apis/memflow.io/v1alpha1";

/** Sends a request; an answer that is no success is an error with its status, unless the status is accepted. */
export async function call(method, path, { body, type = "application/json", accepted = [] } = {}) {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  const origin =
    process.env.MEMFLOW_API_SERVER ?? `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const token = readFileSync(process.env.MEMFLOW_TOKEN_FILE ?? `${SERVICE_ACCOUNT}/token`, "utf8").trim();
  const request = {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": type },
    signal: AbortSignal.timeout(10_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  const response = await fetch(`${origin}${path}`, request);
  const text = await response.text();
  if (accepted.includes(response.status)) return undefined;
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
  return JSON.parse(text);
}

/** Looks again each second until there is an answer; after the limit the last look's reason is the error. */
export async function waitFor(what, limitMs, look) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const { done, reason } = await look();
    if (done) return;
    if (Date.now() > deadline) throw new Error(`${what} took longer than ${limitMs / 1000} s: ${reason}`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
