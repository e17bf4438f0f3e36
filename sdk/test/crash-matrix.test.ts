/**
 * The crash matrix: each named crash point, at each of its occurrences in a run without faults, in each sample.
 *
 * After a crash (or a hand-over in order) another worker takes over, and what the runs leave behind must be what they leave without the crash:
 * result, history and entity, but for times, ids, owners, attempts and the order of what completed concurrently.
 */
import { CRASH_POINTS } from "@memflow/engine";
import { checkStore, testSource } from "@memflow/engine/testing";
import type { StopPlace } from "@memflow/engine/testing";
import { clearInterceptors, registerInterceptor } from "@memflow/sdk";
import { afterAll, assert, beforeAll, expect, onTestFinished, test } from "vitest";
import { CaseLane, SAMPLES, WORKFLOWS, recordCases } from "./crash-cases.ts";
import type { CaseOutcome } from "./crash-cases.ts";
import { differenceOf } from "./recordings.ts";
import { audit } from "./sample-workflows.ts";
import { setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

/** Cases that run side by side in one schema. */
const LANES = 10;

const reached = new Set<string>();

beforeAll(() => registerInterceptor(audit));
afterAll(clearInterceptors);

for (const sample of SAMPLES) {
  test(`"${sample.name}" ends the same, wherever its worker stops`, async () => {
    const store = await setup();
    const lanes = Array.from({ length: LANES }, () => new CaseLane(store));
    onTestFinished(async () => void (await Promise.all(lanes.map((lane) => lane.close()))));
    const faultless = await lanes[0]?.run(sample, "faultless");
    assert(faultless !== undefined);
    const stops = stopsFor(faultless);
    const caseNames = stops.map((_, index) => `case-${index}`);
    const left = [...stops.entries()];
    const work = async (lane: CaseLane): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [index, places] = next;
        const { stopCount } = await lane.run(sample, `case-${index}`, places);
        if (stopCount === places.length) for (const { point } of places) reached.add(point);
      }
    };
    // A lane that fails must not go on beside the end of the test.
    const results = await Promise.allSettled(lanes.map(work));
    const findings = results.flatMap((result): unknown[] =>
      result.status === "rejected" ? [result.reason] : [],
    );
    expect(findings).toEqual([]);

    const recordings = await recordCases(store, sample, ["faultless", ...caseNames]);
    const expected = recordings.get("faultless") ?? [];
    expect(expected).not.toEqual([]);
    for (const [index, caseName] of caseNames.entries()) {
      const actual = recordings.get(caseName) ?? [];
      const difference = differenceOf({ expected, actual, concurrent: sample.concurrent });
      const stoppedAt = stops[index]?.map(describePlace).join(", then ");
      if (difference !== undefined) findings.push({ caseName, stoppedAt, difference });
    }
    // Of all cases together: what the checkers read grows with the store, and they name the runs.
    findings.push(...(await check(store)));
    expect(findings).toEqual([]);
  }, 300_000);
}

test("every named crash point is reached by a sample", () => {
  expect(CRASH_POINTS.filter((point) => !reached.has(point))).toEqual([]);
});

/**
 * One crash at each occurrence of each point; because a history is only loaded by who takes over, one more while the
 * first is being mended, as it is loaded and as its first work is recorded; and a hand-over after each activation.
 */
function stopsFor({ counts }: CaseOutcome): StopPlace[][] {
  const single = [...counts].flatMap(([point, count]) =>
    Array.from({ length: count }, (_, index) => [{ point, occurrence: index + 1, how: "crash" as const }]),
  );
  const commits = single.filter(([place]) => place?.point === "flush.committed");
  const double = commits.map((first, index): StopPlace[] => {
    const point = index % 2 === 0 ? "history.loaded" : "flush.applied";
    return [...first, { point, occurrence: 1, how: "crash" }];
  });
  const handOvers = single
    .filter(([place]) => place?.point === "activation.done")
    .map((places) => places.map((place): StopPlace => ({ ...place, how: "hand over" })));
  return [...single, ...double, ...handOvers];
}

function describePlace({ point, occurrence, how }: StopPlace): string {
  return `${how} at ${point}:${occurrence}`;
}

async function check(store: TestStore): Promise<string[]> {
  return await checkStore({ source: testSource(), schema: store.namespace }, { workflows: WORKFLOWS });
}
