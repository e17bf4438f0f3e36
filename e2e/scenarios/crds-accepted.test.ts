/** Our resource definitions on a real API server: it accepts them, cost budget included, and judges by them as the sources say. */
import { readFileSync, readdirSync } from "node:fs";
import { loadBaseObjects, loadRuleFixtures } from "@memflow/crds/testing";
import type { RuleFixture } from "@memflow/crds/testing";
import { expect } from "vitest";
import { parse } from "yaml";
import { CommandError } from "../cluster/command.ts";
import { useCluster } from "../cluster/testing/index.ts";
import type { ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "control-plane" });
const MANIFESTS = new URL("../../crds/manifests/", import.meta.url);
const KIND_COUNT = 4;
const FIXTURE_MIN = 77;

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly names: {
      readonly plural: string;
      readonly kind: string;
      readonly shortNames?: readonly string[];
    };
    readonly versions: readonly {
      readonly additionalPrinterColumns?: readonly { readonly name: string }[];
    }[];
  };
}

function readDefinitions(): Definition[] {
  const files = readdirSync(MANIFESTS).filter((name) => name.endsWith(".yaml"));
  return files.map((name) => parse(readFileSync(new URL(name, MANIFESTS), "utf8")) as Definition);
}

/** Applies them and waits until they are served: once for the cluster of this file, whatever test comes first. */
async function establish(bench: ScenarioBench): Promise<Definition[]> {
  const definitions = readDefinitions();
  await bench.apply(definitions);
  await bench.kubectl([
    "wait",
    ...definitions.map(({ metadata }) => `crd/${metadata.name}`),
    "--for",
    "condition=Established",
    "--timeout",
    "30s",
  ]);
  return definitions;
}

/** What the server says to an object; undefined when it takes it. Nothing is kept with a dry run. */
async function refusal(
  bench: ScenarioBench,
  verb: "create" | "replace",
  object: unknown,
): Promise<string | undefined> {
  try {
    const dry = verb === "create" ? ["--dry-run=server"] : [];
    await bench.kubectl([verb, ...dry, "-f", "-"], JSON.stringify(object));
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error.output;
    throw error;
  }
}

/** What is wrong with how the server judges a fixture; undefined when it does as the fixture says. */
async function judge(bench: ScenarioBench, fixture: RuleFixture): Promise<string | undefined> {
  const name = `${fixture.kind} ${fixture.field}: ${fixture.message}`;
  const verb = fixture.from === undefined ? "create" : "replace";
  if (fixture.from !== undefined) await bench.kubectl(["create", "-f", "-"], JSON.stringify(fixture.from));
  try {
    const refused = await refusal(bench, verb, fixture.refused);
    const accepted = await refusal(bench, verb, fixture.accepted);
    if (accepted !== undefined) return `${name}\n  accepted one was refused: ${accepted}`;
    if (refused === undefined) return `${name}\n  refused one was accepted`;
    return names(refused, fixture) ? undefined : `${name}\n  refused with other words: ${refused}`;
  } finally {
    if (fixture.from !== undefined) await bench.kubectl(["delete", "-f", "-"], JSON.stringify(fixture.from));
  }
}

/** The field, and the message where it is one of ours: of bounds and patterns the server speaks in words of its own. */
function names(refused: string, { field, message }: RuleFixture): boolean {
  return (
    refused.includes(message) ||
    (refused.includes(field) && /should |must |Invalid|Unsupported|Required|unknown/u.test(refused))
  );
}

scenario("a real API server accepts every resource definition, cost budget included", async (bench) => {
  const definitions = await establish(bench);
  expect(definitions).toHaveLength(KIND_COUNT);
  for (const { metadata } of definitions) {
    const json = await bench.kubectl(["get", "crd", metadata.name, "-o", "json"]);
    const { status } = JSON.parse(json) as { status: { conditions: { type: string; status: string }[] } };
    const conditions = Object.fromEntries(status.conditions.map(({ type, status: value }) => [type, value]));
    expect(conditions).toMatchObject({ Established: "True", NamesAccepted: "True" });
    expect(conditions["NonStructuralSchema"] ?? "False").toBe("False");
  }
});

scenario("the smallest object of each kind is accepted and its defaults are filled in", async (bench) => {
  await establish(bench);
  await bench.apply(loadBaseObjects());
  const store = JSON.parse(await bench.kubectl(["get", "store", "main", "-o", "json"])) as {
    spec: Record<string, unknown>;
  };
  expect(Object.keys(store.spec).length).toBeGreaterThan(1);
});

scenario(
  "each rule lets its accepted object pass and refuses the other with its message",
  async (bench) => {
    await establish(bench);
    const fixtures = loadRuleFixtures();
    expect(fixtures.length).toBeGreaterThanOrEqual(FIXTURE_MIN);
    const faults: string[] = [];
    for (const fixture of fixtures) {
      const fault = await judge(bench, fixture);
      if (fault !== undefined) faults.push(fault);
    }
    expect(faults.join("\n")).toBe("");
  },
  300_000,
);

scenario("kubectl get shows the printer columns of each kind, also by its short names", async (bench) => {
  const definitions = await establish(bench);
  await bench.apply(loadBaseObjects());
  for (const { spec } of definitions) {
    const [version] = spec.versions;
    const columns = (version?.additionalPrinterColumns ?? []).map(({ name }) => name.toUpperCase());
    expect(columns.length).toBeGreaterThan(0);
    for (const name of [spec.names.plural, ...(spec.names.shortNames ?? [])]) {
      const [head = ""] = (await bench.kubectl(["get", name, "-o", "wide"])).split("\n");
      expect(columns.filter((column) => !head.includes(column))).toEqual([]);
    }
  }
});

scenario("a task queue is scaled through its scale subresource", async (bench) => {
  await establish(bench);
  await bench.apply(loadBaseObjects());
  const name = "taskqueue";
  const [queue = ""] = (await bench.kubectl(["get", name, "-o", "name"])).trim().split("\n");
  await bench.kubectl(["scale", queue, "--replicas", "3"]);
  const path = `/apis/memflow.io/v1alpha1/namespaces/${bench.namespace}/taskqueues/${queue.split("/")[1]}/scale`;
  const scale = JSON.parse(await bench.kubectl(["get", "--raw", path])) as { spec: { replicas: number } };
  expect(scale.spec.replicas).toBe(3);
});

scenario("a status is written through its subresource alone", async (bench) => {
  await establish(bench);
  await bench.apply(loadBaseObjects());
  const status = { observedGeneration: 1 };
  const patch = JSON.stringify({ status });
  await bench.kubectl(["patch", "store", "main", "--type", "merge", "-p", patch]);
  expect(await bench.kubectl(["get", "store", "main", "-o", "jsonpath={.status}"])).toBe("");
  await bench.kubectl(["patch", "store", "main", "--subresource", "status", "--type", "merge", "-p", patch]);
  expect(JSON.parse(await bench.kubectl(["get", "store", "main", "-o", "jsonpath={.status}"]))).toMatchObject(
    status,
  );
});
