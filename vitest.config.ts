/**
 * How every test of the workspace runs: from sources, in forked processes.
 *
 * The tests beside the sources share one real Postgres. The scenarios of `e2e/scenarios` run on real clusters, one project a
 * provider, one file at a time: what they measure must not depend on a neighbour.
 */
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** Every package exports its sources under this condition; children of a test inherit it through NODE_OPTIONS. */
const SOURCE_CONDITION = "source";

/**
 * Tests are resolved in Vite's `ssr` environment, the global setup in vitest's own; both as Node does, which does not know
 * the condition "module" that bundlers have.
 */
const FROM_SOURCES = { resolve: { conditions: [SOURCE_CONDITION, "node"] } };

const NEVER_TESTS = ["**/node_modules/**", "**/dist/**", "**/.memflow/**"];

const SCENARIOS = "e2e/scenarios/**/*.test.ts";

/** Tests wait more than they compute, for processes that end and leases that run out: another file uses that time. */
const FILES_AT_ONCE = availableParallelism() + 1;

/** What has to work on every provider: install, run, scale, uninstall. The rest runs on `local` alone. */
const KIND_SCENARIOS = ["cluster-sanity", "chart-install", "quickstart*"].map(
  (name) => `e2e/scenarios/${name}.test.ts`,
);

/** Scenarios on one provider, after the other tests. The name is the provider's. */
function scenariosOn(name: string, include: string[], groupOrder: number) {
  return {
    extends: true as const,
    test: {
      name,
      include,
      exclude: NEVER_TESTS,
      globalSetup: ["e2e/setup/test-cluster.ts"],
      maxWorkers: 1,
      sequence: { groupOrder },
    },
  };
}

// oxlint-disable-next-line import/no-default-export -- vitest reads its configuration from the default export
export default defineConfig({
  environments: { ssr: FROM_SOURCES, __vitest__: FROM_SOURCES },
  test: {
    pool: "forks",
    execArgv: ["-C", SOURCE_CONDITION],
    env: { NODE_OPTIONS: `--conditions=${SOURCE_CONDITION}` },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: [
      "default",
      "./scripts/compat-reporter.ts",
      "./scripts/skip-reporter.ts",
      "./scripts/plain-count-reporter.ts",
    ],
    projects: [
      {
        extends: true,
        test: {
          name: "sources",
          include: ["**/*.test.ts"],
          exclude: [...NEVER_TESTS, SCENARIOS],
          globalSetup: ["e2e/setup/test-postgres.ts"],
          maxWorkers: FILES_AT_ONCE,
        },
      },
      scenariosOn("local", [SCENARIOS], 1),
      scenariosOn("kind", KIND_SCENARIOS, 2),
    ],
    coverage: {
      provider: "v8",
      include: ["**/src/**/*.ts"],
      exclude: ["**/*.test.ts", "**/dist/**"],
      // Pure code has no excuse: nothing in it depends on the outside.
      thresholds: { "**/src/**/{core,plan}/**": { branches: 100 } },
    },
  },
});
