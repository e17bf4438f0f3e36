/**
 * What `helm test` asks: the operator is ready and, where the evaluation Postgres runs, brings a Store to Ready.
 *
 * The Store is of this test alone; it and its schema are gone at the end.
 */
import { API_GROUP, call, waitFor } from "./kubernetes.mjs";

const READY_MS = 120_000;
const { NAMESPACE: namespace, OPERATOR: operator, POSTGRES_SECRET: secret, STORE: name } = process.env;
const stores = `${API_GROUP}/namespaces/${namespace}/stores`;

await waitFor("the operator", READY_MS, async () => {
  const { status } = await call("GET", `/apis/apps/v1/namespaces/${namespace}/deployments/${operator}`);
  return { done: (status.availableReplicas ?? 0) > 0, reason: "none of its pods is available" };
});
console.log("the operator is ready");

if (secret) {
  await remove();
  try {
    await call("POST", stores, { body: testStore() });
    await waitFor("the Store", READY_MS, async () => {
      const { status } = await call("GET", `${stores}/${name}`);
      const ready = (status?.conditions ?? []).find(({ type }) => type === "Ready");
      return { done: ready?.status === "True", reason: ready?.message ?? "nobody looks after it" };
    });
    console.log("a Store in the evaluation Postgres became ready");
  } finally {
    await remove();
  }
}

function testStore() {
  return {
    apiVersion: "memflow.io/v1alpha1",
    kind: "Store",
    metadata: { name },
    spec: {
      connection: { secretRef: { name: secret, key: "uri" }, tls: { mode: "disable" } },
      schema: "memflow_helm_test",
      deletionPolicy: "DropSchema",
    },
  };
}

async function remove() {
  await call("DELETE", `${stores}/${name}`, { accepted: [404] });
  await waitFor("the Store's end", READY_MS, async () => {
    const store = await call("GET", `${stores}/${name}`, { accepted: [404] });
    return { done: store === undefined, reason: `its finalizers are ${store?.metadata.finalizers}` };
  });
}
