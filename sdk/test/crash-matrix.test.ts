/**
 * The crash matrix: each named crash point, at each of its occurrences in a run without faults, in each sample.
 *
 * After a crash another worker takes over, and what the runs leave behind must be what they leave without the crash:
 * result, history and entity, but for times, ids, owners, attempts and the order of what completed concurrently.
 */
import { isDeepStrictEqual } from "node:util";
import { CRASH_POINTS } from "@memflow/engine";
import { checkStore, testSource } from "@memflow/engine/testing";
import type { CrashPlace } from "@memflow/engine/testing";
import { clearInterceptors, registerInterceptor } from "@memflow/sdk";
import { afterAll, assert, beforeAll, expect, onTestFinished, test } from "vitest";
import { CaseLane, SAMPLES, WORKFLOWS } from "./crash-cases.ts";
import type { CaseOutcome, Sample } from "./crash-cases.ts";
import { withoutOrder } from "./recordings.ts";
import type { RecordedRun } from "./recordings.ts";
import { audit } from "./sample-workflows.ts";
import { setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

/** Cases that run side by side in one schema. */
const LANES = 6;

const reached = new Set<string>();

beforeAll(() => registerInterceptor(audit));
afterAll(clearInterceptors);

for (const sample of SAMPLES) {
  test(`"${sample.name}" ends the same after a crash at any point`, async () => {
    const store = await setup();
    const lanes = Array.from({ length: LANES }, () => new CaseLane(store));
    onTestFinished(async () => void (await Promise.all(lanes.map((lane) => lane.close()))));
    const faultless = await lanes[0]?.run(sample, "faultless");
    assert(faultless !== undefined);
    const cases = [...crashesFor(faultless).entries()];

    const findings: unknown[] = [];
    const work = async (lane: CaseLane): Promise<void> => {
      for (let next = cases.shift(); next !== undefined; next = cases.shift()) {
        const [index, places] = next;
        const caseName = `case-${index}`;
        const outcome = await lane.run(sample, caseName, places);
        if (outcome.crashCount === places.length) for (const { point } of places) reached.add(point);
        findings.push(
          ...differences({ sample, places, faultless, outcome, broken: await check(store, caseName) }),
        );
      }
    };
    // A lane that fails must not go on beside the end of the test.
    const results = await Promise.allSettled(lanes.map(work));
    findings.push(
      ...results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : [])),
    );

    expect(findings).toEqual([]);
  }, 300_000);
}

test("every named crash point is reached by a sample", () => {
  expect(CRASH_POINTS.filter((point) => !reached.has(point))).toEqual([]);
});

/**
 * One crash at each occurrence of each point; and, because a history is only loaded by who takes over, one more while
 * the first is being mended: as it is loaded, and as its first work is recorded.
 */
function crashesFor({ counts }: CaseOutcome): CrashPlace[][] {
  const single = [...counts].flatMap(([point, count]) =>
    Array.from({ length: count }, (_, index) => [
      { point: point as CrashPlace["point"], occurrence: index + 1 },
    ]),
  );
  const commits = single.filter(([place]) => place?.point === "flush.committed");
  const double = commits.flatMap((first, index) => {
    const point = index % 2 === 0 ? "history.loaded" : "flush.applied";
    return [[...first, { point, occurrence: 1 } as const]];
  });
  return [...single, ...double];
}

async function check(store: TestStore, taskQueue: string): Promise<string[]> {
  return await checkStore(
    { source: testSource(), schema: store.namespace },
    { workflows: WORKFLOWS, taskQueue },
  );
}

interface Comparison {
  readonly sample: Sample;
  readonly places: readonly CrashPlace[];
  readonly faultless: CaseOutcome;
  readonly outcome: CaseOutcome;
  /** Promises that the store breaks now. */
  readonly broken: readonly string[];
}

function differences({ sample, places, faultless, outcome, broken }: Comparison): unknown[] {
  const order = sample.concurrent ? withoutOrder : (runs: readonly RecordedRun[]) => runs;
  const expected = order(faultless.recording);
  const actual = order(outcome.recording);
  if (broken.length === 0 && isDeepStrictEqual(actual, expected)) return [];
  const differs = (runs: readonly RecordedRun[], others: readonly RecordedRun[]): readonly RecordedRun[] =>
    runs.filter((run) => !others.some((other) => isDeepStrictEqual(run, other)));
  const crashedAt = places.map(({ point, occurrence }) => `${point}:${occurrence}`).join(", then ");
  return [{ crashedAt, broken, expected: differs(expected, actual), actual: differs(actual, expected) }];
}
