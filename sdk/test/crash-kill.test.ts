/**
 * Worker processes that die by SIGKILL at named crash points: what the crash matrix (crash-matrix.test.ts) shows of workers
 * that stop inside this process, shown of some that take their process along.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import type { CrashPoint } from "@memflow/engine";
import { checkStore, testSource } from "@memflow/engine/testing";
import { clearInterceptors, registerInterceptor } from "@memflow/sdk";
import { afterAll, assert, beforeAll, expect, onTestFinished, test } from "vitest";
import { CaseLane, SAMPLES, WORKFLOWS, recordCases } from "./crash-cases.ts";
import type { CrashProcessOptions } from "./crash-process.ts";
import { differenceOf } from "./recordings.ts";
import { audit } from "./sample-workflows.ts";
import { setup } from "./setup.ts";

/** Where each sample's process dies: in the middle of the times that it passes the point. */
const DEATHS: readonly { readonly name: string; readonly points: readonly CrashPoint[] }[] = [
  { name: "sequence", points: ["activation.done", "timer.due"] },
  { name: "side by side", points: ["activity.started", "settle.built", "settle.committed"] },
  { name: "signals", points: ["inbox.read", "flush.built"] },
  { name: "family", points: ["claim.committed", "flush.applied"] },
  { name: "research", points: ["flush.committed", "activity.finished"] },
  { name: "persistent", points: ["flush.committed"] },
];

beforeAll(() => registerInterceptor(audit));
afterAll(clearInterceptors);

/** A process that serves the case until it dies; it settles when the process serves. */
async function startProcess(options: CrashProcessOptions): Promise<{ ended(): Promise<unknown> }> {
  const child = fork(new URL("crash-process.ts", import.meta.url), [JSON.stringify(options)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = once(child, "exit").then(([code, signal]: unknown[]) => code ?? signal);
  const ready = await Promise.race([once(child, "message"), ended]);
  assert(Array.isArray(ready), `the process ended with ${String(ready)} before it served`);
  return { ended: () => ended };
}

test.each(DEATHS)('"$name" ends the same, wherever its process is killed', async ({ name, points }) => {
  const sample = SAMPLES.find((each) => each.name === name);
  assert(sample !== undefined);
  const store = await setup();
  const lanes = Array.from({ length: points.length + 1 }, () => new CaseLane(store));
  onTestFinished(async () => void (await Promise.all(lanes.map((lane) => lane.close()))));
  const faultless = await lanes[0]?.run(sample, "faultless");
  assert(faultless !== undefined);

  const deaths = await Promise.all(
    points.map(async (point, index) => {
      const caseName = `killed-${index}`;
      const occurrence = Math.ceil((faultless.counts.get(point) ?? 0) / 2);
      const options = { url: store.url, namespace: store.namespace, caseName, point, occurrence };
      let ended: Promise<unknown> | undefined;
      await lanes[index + 1]?.runElsewhere(sample, caseName, async () => {
        const child = await startProcess(options);
        ended = child.ended();
        return child;
      });
      return { point, caseName, died: await ended };
    }),
  );
  expect(deaths.map(({ point, died }) => [point, died])).toEqual(points.map((point) => [point, "SIGKILL"]));

  const caseNames = deaths.map(({ caseName }) => caseName);
  const recordings = await recordCases(store, sample, ["faultless", ...caseNames]);
  const { concurrent } = sample;
  const expected = recordings.get("faultless") ?? [];
  expect(expected).not.toEqual([]);
  const differences = deaths.map(({ point, caseName }) => {
    const actual = recordings.get(caseName) ?? [];
    return { point, difference: differenceOf({ expected, actual, concurrent }) };
  });
  expect(differences).toEqual(points.map((point) => ({ point, difference: undefined })));
  const place = { source: testSource(), schema: store.namespace };
  expect(await checkStore(place, { workflows: WORKFLOWS })).toEqual([]);
});
