/** Who may what where no cluster is asked. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ForbiddenError, UnauthenticatedError } from "./index.ts";
import type { Access } from "./index.ts";
import { KeyGatekeeper, LoopbackGatekeeper } from "./static-gatekeepers.ts";
import { KeysFileError, makeKey, parseKeys, readKeysFile } from "./static-keys.ts";

const SIGNAL: Access = { verb: "signal", resource: "workflows/runs", namespace: "default", name: "order" };

interface Sent {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly from?: string;
}

function request({ headers = {}, from = "127.0.0.1" }: Sent): IncomingMessage {
  const headersDistinct = Object.fromEntries(
    Object.entries({ host: "localhost:8080", ...headers }).map(([name, value]) => [name, [value].flat()]),
  );
  return { headersDistinct, socket: { remoteAddress: from } } as unknown as IncomingMessage;
}

function fileOf(entries: readonly object[]): string {
  return JSON.stringify({ keys: entries });
}

const ALL_RULES = [{ verbs: ["*"], resources: ["*"] }];

test("a key is known by its hash and may what its rules say, for as long as the file has it", async () => {
  const { key, hash } = makeKey();
  const rules = [
    { verbs: ["signal", "get"], resources: ["workflows/runs"], names: ["order"], namespaces: ["default"] },
  ];
  let keys = parseKeys(fileOf([{ name: "shop", hash, rules }]), "keys.yaml");
  const keeper = new KeyGatekeeper(() => keys);
  const subject = await keeper.identify(request({ headers: { authorization: `Bearer ${key}` } }));
  expect(subject).toEqual({ name: "shop", groups: [], via: "key" });
  await keeper.admit(subject, SIGNAL);
  for (const other of [
    { ...SIGNAL, verb: "terminate" },
    { ...SIGNAL, name: "other" },
    { ...SIGNAL, name: undefined },
    { ...SIGNAL, namespace: "elsewhere" },
    { ...SIGNAL, resource: "schedules" } as const,
  ]) {
    expect(await keeper.may(subject, other)).toBe(false);
    await expect(keeper.admit(subject, other)).rejects.toBeInstanceOf(ForbiddenError);
  }
  keys = [];
  await expect(keeper.admit(subject, SIGNAL)).rejects.toBeInstanceOf(ForbiddenError);
  await expect(
    keeper.identify(request({ headers: { authorization: `Bearer ${key}` } })),
  ).rejects.toBeInstanceOf(UnauthenticatedError);
});

test("the file may be YAML, and a rule without names or namespaces is for all of them", async () => {
  const { key, hash } = makeKey();
  const text = `keys:\n  - name: admin\n    hash: ${hash}\n    rules:\n      - verbs: ["*"]\n        resources: ["*"]\n`;
  const keeper = new KeyGatekeeper(() => parseKeys(text, "keys.yaml"));
  const subject = await keeper.identify(request({ headers: { authorization: `Bearer ${key}` } }));
  const all: Access = { verb: "list", resource: "workflows/runs", namespace: "any" };
  await keeper.admit(subject, all);
  expect(await keeper.may(subject, all)).toBe(true);
});

test("an expired key is not taken", async () => {
  const { key, hash } = makeKey();
  const expires = "2026-01-01T00:00:00Z";
  const keys = parseKeys(fileOf([{ name: "a", hash, expires, rules: ALL_RULES }]), "keys.yaml");
  const sent = { headers: { authorization: `Bearer ${key}` } };
  const at = (nowMs: number): KeyGatekeeper =>
    new KeyGatekeeper(
      () => keys,
      () => nowMs,
    );
  const endMs = Date.parse(expires);
  expect((await at(endMs - 1).identify(request(sent))).name).toBe("a");
  await expect(at(endMs).identify(request(sent))).rejects.toBeInstanceOf(UnauthenticatedError);
});

test.each([
  ["nothing", undefined],
  ["a key that nobody made", "Bearer letmein"],
  ["a key of the right form", `Bearer ${makeKey().key}`],
  ["a hash in place of the key", `Bearer ${makeKey().hash}`],
  ["a password", "Basic YTpi"],
  ["two headers", ["Bearer one.1", "Bearer two.2"]],
  ["an endless token", `Bearer ${"a".repeat(20_000)}`],
])("with %s nobody is known, and no message holds it", async (_claim, authorization) => {
  const { hash } = makeKey();
  const keeper = new KeyGatekeeper(() => parseKeys(fileOf([{ name: "a", hash, rules: ALL_RULES }]), "k"));
  const error: unknown = await keeper
    .identify(request(authorization === undefined ? {} : { headers: { authorization } }))
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(UnauthenticatedError);
  for (const value of [authorization ?? []].flat()) {
    expect((error as Error).message).not.toContain(value.slice("Bearer ".length));
  }
});

test.each([
  ["lacks a hash", { name: "a", rules: ALL_RULES }, /keys\.0\.hash/u],
  [
    "holds a key in place of its hash",
    { name: "a", hash: makeKey().key, rules: ALL_RULES },
    /keys\.0\.hash/u,
  ],
  ["has no rules", { name: "a", hash: makeKey().hash, rules: [] }, /keys\.0\.rules/u],
  [
    "has a member that nobody knows",
    { name: "a", hash: makeKey().hash, rules: ALL_RULES, admin: true },
    /admin/u,
  ],
])("a file that %s is refused by the place", (_claim, entry, message) => {
  expect(() => parseKeys(fileOf([entry]), "keys.yaml")).toThrow(message);
});

test("two keys of one name are refused, and so is a file that is not there or no YAML", async () => {
  const entry = { name: "a", hash: makeKey().hash, rules: ALL_RULES };
  expect(() => parseKeys(fileOf([entry, entry]), "keys.yaml")).toThrow(/two keys of the name "a"/u);
  expect(() => parseKeys("keys: [", "keys.yaml")).toThrow(KeysFileError);
  await expect(readKeysFile("/nowhere/keys.yaml")).rejects.toThrow(/ENOENT/u);
  const folder = await mkdtemp(join(tmpdir(), "memflow-keys-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "keys.yaml"), fileOf([entry]));
  expect((await readKeysFile(join(folder, "keys.yaml"))).map(({ name }) => name)).toEqual(["a"]);
});

test("without keys this machine may everything, and is called loopback", async () => {
  const keeper = new LoopbackGatekeeper();
  for (const from of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
    expect(await keeper.identify(request({ from }))).toEqual({
      name: "loopback",
      groups: [],
      via: "loopback",
    });
  }
  const sameSite = { host: "localhost:8080", origin: "http://localhost:8080" };
  const subject = await keeper.identify(request({ headers: sameSite }));
  await keeper.admit();
  expect([subject.via, await keeper.may()]).toEqual(["loopback", true]);
});

test.each<readonly [string, Sent]>([
  ["another machine", { from: "10.0.0.7" }],
  ["a machine that looks like this one", { from: "127.0.0.1.example.com" }],
  ["a proxy on this machine", { headers: { "x-forwarded-for": "10.0.0.7" } }],
  ["a name that somebody made resolve to this machine", { headers: { host: "evil.example" } }],
  ["a page of another site", { headers: { origin: "https://evil.example" } }],
  ["a page of another port", { headers: { origin: "http://localhost:3000" } }],
  ["a page without an origin of its own", { headers: { origin: "null" } }],
  ["somebody who wants to be another", { headers: { "impersonate-user": "ada" } }],
])("without keys %s is refused", async (_claim, sent) => {
  await expect(new LoopbackGatekeeper().identify(request(sent))).rejects.toBeInstanceOf(UnauthenticatedError);
});

test("a key can't impersonate", async () => {
  const { key, hash } = makeKey();
  const keeper = new KeyGatekeeper(() => parseKeys(fileOf([{ name: "a", hash, rules: ALL_RULES }]), "k"));
  const headers = { authorization: `Bearer ${key}`, "impersonate-user": "ada" };
  await expect(keeper.identify(request({ headers }))).rejects.toThrow(/nobody can be impersonated/u);
});
