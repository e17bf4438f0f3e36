/** Several namespaces are followed as if they were one place. */
import { expect, onTestFinished, test } from "vitest";
import { recordLog } from "../testing/log-recorder.ts";
import { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { widget, WIDGETS } from "../testing/widgets.ts";
import type { Widget } from "../testing/widgets.ts";
import { followNamespaces } from "./followed-objects.ts";
import type { FollowedObjects } from "./followed-objects.ts";
import { KubeClient } from "./kube-client.ts";
import { Reflector } from "./reflector.ts";

function inNamespace(name: string, namespace: string): Widget {
  const one = widget(name);
  return { ...one, metadata: { ...one.metadata, namespace } };
}

async function setup(...namespaces: string[]): Promise<{ api: MockApiServer; all: FollowedObjects<Widget> }> {
  const api = await MockApiServer.start({ types: [WIDGETS] });
  const client = new KubeClient({ kubeConfig: api.kubeConfig() });
  const { log } = recordLog();
  const indexes = { name: (one: Widget) => [one.metadata?.name ?? ""] };
  const all = followNamespaces(
    new Map(
      namespaces.map((namespace) => [
        namespace,
        new Reflector<Widget>({ client, type: WIDGETS, selection: { namespace }, indexes, log }),
      ]),
    ),
  );
  onTestFinished(async () => {
    await all.stop();
    await client.close();
    await api.close();
  });
  return { api, all };
}

test("objects of all named namespaces are there, of no other", async () => {
  const { api, all } = await setup("a", "b");
  for (const namespace of ["a", "b", "c"]) api.cluster.create(WIDGETS, inNamespace("one", namespace));
  expect(all.state.synced).toBe(false);
  all.start();
  await all.whenSynced();
  expect(all.state).toMatchObject({ synced: true, failureCount: 0, listCount: 2 });
  expect(all.store.keys()).toEqual(["a/one", "b/one"]);
  expect(all.store.size).toBe(2);
  expect(all.store.get("b/one")?.metadata?.namespace).toBe("b");
  expect(all.store.get("c/one")).toBeUndefined();
  expect(all.store.find("name", "one").length).toBe(2);
  expect(all.store.list().length).toBe(2);
});

test("changes of all of them are told, until it is ended", async () => {
  const { api, all } = await setup("a", "b");
  all.start();
  await all.whenSynced();
  const seen: string[] = [];
  const bell = Promise.withResolvers<void>();
  const end = all.onChange(({ key }) => {
    seen.push(key);
    if (seen.length === 2) bell.resolve();
  });
  api.cluster.create(WIDGETS, inNamespace("one", "a"));
  api.cluster.create(WIDGETS, inNamespace("two", "b"));
  await bell.promise;
  expect(seen.toSorted()).toEqual(["a/one", "b/two"]);
  end();
});

test("no namespace at all is a mistake", () => {
  expect(() => followNamespaces(new Map())).toThrow(TypeError);
});
