/** What leaves in a report: structure, never a secret. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { redact } from "./redaction.ts";

const SECRET = "hunter2-hunter2-hunter2";

test.each([
  ["a Secret's data", { data: { password: SECRET } }],
  ["a variable's value", { env: [{ name: "API", value: SECRET }] }],
  ["an address with a password", { message: `can't reach postgres://app:${SECRET}@db:5432/app` }],
  ["an assignment in a log line", { log: [`password=${SECRET} rejected`, `"apiKey":"${SECRET}"`] }],
  ["a key of a gateway", { log: [`key mfk_${SECRET.repeat(2)}`] }],
  ["code", { spec: { code: { inline: { "a.ts": SECRET } } } }],
  ["what a Workflow starts with", { spec: { defaultArgs: [SECRET] } }],
  [
    "the manifest as it was applied",
    { annotations: { "kubectl.kubernetes.io/last-applied-configuration": SECRET } },
  ],
])("%s is taken out", (_claim, document) => {
  expect(JSON.stringify(redact(document))).not.toContain(SECRET);
});

test("a JSON web token and a private key are taken out of any text", () => {
  const token = `eyJhbGciOiJSUzI1NiJ9.${"a".repeat(20)}.${"b".repeat(20)}`;
  const key = "-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----";
  expect(redact([`got ${token}`, key])).toEqual(["got <redacted>", "<redacted>"]);
});

test("names, kinds, numbers and conditions stay", () => {
  const kept = {
    metadata: { name: "orders", namespace: "shop", labels: { "memflow.io/task-queue": "orders" } },
    spec: { scaling: { minReplicas: 1 } },
    status: { conditions: [{ type: "Ready", status: "False", message: "no worker is ready" }] },
  };
  expect(redact(kept)).toEqual(kept);
  expect(redact({ env: [{ name: "KEY", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }] })).toEqual({
    env: [{ name: "KEY", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }],
  });
});

test("a document keeps its shape", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const value = JSON.parse(text) as unknown;
      expect(Array.isArray(redact(value))).toBe(Array.isArray(value));
      expect(typeof redact(value)).toBe(typeof value);
    }),
  );
});
