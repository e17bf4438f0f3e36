/**
 * How every test of the workspace runs: from sources, in forked processes, against one real Postgres.
 */
import { defineConfig } from "vitest/config";

/** Every package exports its sources under this condition; children of a test inherit it through NODE_OPTIONS. */
const SOURCE_CONDITION = "source";

/**
 * Tests are resolved in Vite's `ssr` environment, the global setup in vitest's own; both as Node does, which does not know
 * the condition "module" that bundlers have.
 */
const FROM_SOURCES = { resolve: { conditions: [SOURCE_CONDITION, "node"] } };

// oxlint-disable-next-line import/no-default-export -- vitest reads its configuration from the default export
export default defineConfig({
  environments: { ssr: FROM_SOURCES, __vitest__: FROM_SOURCES },
  test: {
    include: ["**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/.memflow/**"],
    pool: "forks",
    execArgv: ["-C", SOURCE_CONDITION],
    env: { NODE_OPTIONS: `--conditions=${SOURCE_CONDITION}` },
    globalSetup: ["e2e/setup/test-postgres.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", "./scripts/compat-reporter.ts", "./scripts/plain-count-reporter.ts"],
    coverage: {
      provider: "v8",
      include: ["**/src/**/*.ts"],
      exclude: ["**/*.test.ts", "**/dist/**"],
      // Pure code has no excuse: nothing in it depends on the outside.
      thresholds: { "**/src/**/{core,plan}/**": { branches: 100 } },
    },
  },
});
