/**
 * Parity with HotMesh's `deployAndActivate`: a schema that is there already.
 */
import { expect, test } from "vitest";
import { serving } from "./serving.ts";

const child = async (name: string): Promise<string> => await Promise.resolve(`hello child ${name}`);

test("deployAndActivate brings the namespace to its schema, also when it has one", async () => {
  const { start, client, namespace, query } = await serving({ child });
  const before = await query<{ count: string }>("select count(*) from schema_migrations");
  await client.deployAndActivate(namespace, "2");
  expect(await query("select count(*) from schema_migrations")).toEqual(before);
  expect(await (await start("child", ["again"])).result()).toBe("hello child again");
});
