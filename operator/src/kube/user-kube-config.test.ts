/** The kubeconfig of a person: which file, which context, which namespace, which credentials. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KubeConfigError } from "./kube-config.ts";
import { readUserCredentials } from "./user-credentials.ts";
import { readUserKubeConfig } from "./user-kube-config.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "kubeconfig-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A kubeconfig with one context of the name. */
async function write(
  name: string,
  user: Readonly<Record<string, unknown>>,
  namespace?: string,
): Promise<string> {
  const file = path.join(folder, name);
  const document = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: `https://${name}.example` } }],
    users: [{ name, user }],
    contexts: [
      { name, context: { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) } },
    ],
    "current-context": name,
  };
  await writeFile(file, JSON.stringify(document));
  return file;
}

test("the given file's current context counts, with its namespace", async () => {
  const file = await write("blue", { token: "t" }, "shop");
  expect(readUserKubeConfig({ path: file })).toMatchObject({ context: "blue", namespace: "shop" });
});

test("the files of KUBECONFIG are merged: the first one's context is current, missing ones are passed over", async () => {
  const variable = [
    await write("blue", { token: "t" }),
    path.join(folder, "missing"),
    await write("green", { token: "u" }),
  ].join(path.delimiter);
  expect(readUserKubeConfig({ variable })).toMatchObject({ context: "blue", namespace: "default" });
  const green = readUserKubeConfig({ variable, context: "green" });
  expect(green.kubeConfig.getCurrentCluster()?.server).toBe("https://green.example");
});

test("an unknown context is refused with those that there are", async () => {
  const file = await write("blue", { token: "t" });
  expect(() => readUserKubeConfig({ path: file, context: "red" })).toThrow('no context "red"; it has: blue');
  expect(() => readUserKubeConfig({ path: path.join(folder, "missing") })).toThrow(KubeConfigError);
});

test.each([
  ["a token", { token: "secret" }, { token: "secret" }],
  ["whom to act as", { token: "secret", as: "ada" }, { token: "secret", impersonateUser: "ada" }],
  [
    "a client certificate",
    {
      "client-certificate-data": Buffer.from("CERT").toString("base64"),
      "client-key-data": Buffer.from("KEY").toString("base64"),
    },
    { certificate: { cert: "CERT", key: "KEY" } },
  ],
  ["nothing", {}, {}],
])("a user's credentials are %s", async (_claim, user, credentials) => {
  const { kubeConfig } = readUserKubeConfig({ path: await write("blue", user) });
  expect(await readUserCredentials(kubeConfig)).toEqual(credentials);
});

test("a credential plugin is run, and its failure names no credential", async () => {
  const credential = {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: "from-plugin" },
  };
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: process.execPath,
    args: ["-e", `console.log(${JSON.stringify(JSON.stringify(credential))})`],
    interactiveMode: "Never",
  };
  const { kubeConfig } = readUserKubeConfig({ path: await write("blue", { exec }) });
  expect(await readUserCredentials(kubeConfig)).toMatchObject({ token: "from-plugin" });
  const broken = readUserKubeConfig({
    path: await write("red", { exec: { ...exec, args: ["-e", "process.exit(1)"] } }),
  });
  await expect(readUserCredentials(broken.kubeConfig)).rejects.toThrow(/the kubeconfig gives no access/u);
});
