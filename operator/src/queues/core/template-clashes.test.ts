/** Which parts of a pod template are refused, and in which words. */
import { expect, test } from "vitest";
import { taskQueue } from "../testing/task-queues.ts";
import { findTemplateClash } from "./template-clashes.ts";

const CODE = { code: { configMapRef: { name: "code" } } };
const ARTIFACT = { artifact: { image: "shop/code:1" } };
const IMAGE = { image: { ref: "shop/orders:1" } };

function clashOf(spec: object, source: object = CODE): string | undefined {
  return findTemplateClash(taskQueue({ workers: { source, podTemplate: { spec } } }).spec.workers);
}

function mountAt(mountPath: string, name = "worker"): object {
  return { containers: [{ name: "sidecar" }, { name, volumeMounts: [{ name: "own", mountPath }] }] };
}

test.each([
  ["/etc/memflow/store", "/etc/memflow/store"],
  ["/etc/memflow/store/", "/etc/memflow/store"],
  ["/etc/memflow/store/ca.crt", "/etc/memflow/store"],
  ["/etc", "/etc/memflow/store"],
  ["/app/code", "/app/code"],
])("a mount at %s is refused with field, value and remedy", (path, folder) => {
  const message = clashOf(mountAt(path)) ?? "";
  expect(message).toContain("workers.podTemplate.spec.containers[1].volumeMounts[0].mountPath");
  expect(message).toContain(`"${path}"`);
  expect(message).toContain(`"${folder}"`);
  expect(message).toContain("mount it at another path");
});

test("a volume with the name of ours is refused with field, value and remedy", () => {
  for (const name of ["memflow-store", "code"]) {
    const message =
      clashOf({
        volumes: [
          { name: "own", emptyDir: {} },
          { name, emptyDir: {} },
        ],
      }) ?? "";
    expect(message).toContain(`workers.podTemplate.spec.volumes[1].name is "${name}"`);
    expect(message).toContain("give it another name");
  }
});

test("what MemFlow does not mount is the user's, and so are other containers", () => {
  expect(clashOf(mountAt("/app/code"), IMAGE)).toBeUndefined();
  expect(clashOf(mountAt("/mnt/artifact"), ARTIFACT)).toContain("/mnt/artifact");
  expect(clashOf(mountAt("/mnt/artifact"))).toBeUndefined();
  expect(clashOf(mountAt("/app/code", "sidecar"))).toBeUndefined();
  expect(clashOf({ volumes: [{ name: "code" }] }, IMAGE)).toBeUndefined();
  for (const path of ["/tmp", "/app/codes", "/etc/memflow-store", "/data"]) {
    expect(clashOf(mountAt(path))).toBeUndefined();
  }
  expect(clashOf({ volumes: [{ name: "tmp", emptyDir: { medium: "Memory" } }] })).toBeUndefined();
});
