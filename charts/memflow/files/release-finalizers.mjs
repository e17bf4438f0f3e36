/**
 * Takes MemFlow's finalizers off all objects, once the operator has gone, and removes the Lease that it leaves.
 *
 * Nobody would take them off later: deleting such an object, or its Kubernetes namespace, would wait for ever. What a
 * finalizer stood for does not happen then: schemas stay in their databases, workers go at once. An operator that is
 * installed again puts them back.
 */
import { API_GROUP, call, waitFor } from "./kubernetes.mjs";

const PLURALS = ["stores", "taskqueues", "workflows", "schedules"];
const PREFIX = "memflow.io/";
const OPERATOR_END_MS = 90_000;
const CONFLICT = 409;
const NOT_FOUND = 404;

const { OPERATOR_NAMESPACE: operatorNamespace, OPERATOR_SELECTOR: selector, LEASE: lease } = process.env;
const namespaces = (process.env.WATCH_NAMESPACES ?? "").split(",").filter((name) => name !== "");

// An operator that still lives would put them back.
const query = new URLSearchParams({ labelSelector: selector });
await waitFor("the end of the operator's pods", OPERATOR_END_MS, async () => {
  const { items } = await call("GET", `/api/v1/namespaces/${operatorNamespace}/pods?${query}`);
  return { done: items.length === 0, reason: `${items.length} are still there` };
});

// Its rights went with the release, before it could give the Lease back: the next one would wait for its end.
await call("DELETE", `/apis/coordination.k8s.io/v1/namespaces/${operatorNamespace}/leases/${lease}`, {
  accepted: [NOT_FOUND],
});

const scopes = namespaces.length === 0 ? [""] : namespaces.map((name) => `/namespaces/${name}`);
for (const scope of scopes) {
  for (const plural of PLURALS) {
    // Definitions that are gone took their objects with them.
    const list = await call("GET", `${API_GROUP}${scope}/${plural}`, { accepted: [NOT_FOUND] });
    for (const object of list?.items ?? []) await release(plural, object);
  }
}

async function release(plural, { metadata }) {
  const finalizers = (metadata.finalizers ?? []).filter((name) => !name.startsWith(PREFIX));
  if (finalizers.length === (metadata.finalizers ?? []).length) return;
  const path = `${API_GROUP}/namespaces/${metadata.namespace}/${plural}/${metadata.name}`;
  const body = { metadata: { finalizers, resourceVersion: metadata.resourceVersion } };
  const patched = await call("PATCH", path, {
    body,
    type: "application/merge-patch+json",
    accepted: [CONFLICT, NOT_FOUND],
  });
  if (patched !== undefined) {
    console.log(`${plural}/${metadata.name} in ${metadata.namespace} waits for nobody any more`);
    return;
  }
  const current = await call("GET", path, { accepted: [NOT_FOUND] });
  if (current !== undefined) await release(plural, current);
}
