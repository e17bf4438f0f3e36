/** Where tests stop the process. */
import { expect, test } from "vitest";
import { makeCrashPoint } from "./crash-points.ts";
import { recordLog } from "./testing/log-recorder.ts";

test("the process dies at the named place alone", () => {
  let deaths = 0;
  const crashPoint = makeCrashPoint("queues.apply.deployments.after", recordLog().log, () => deaths++);
  crashPoint("queues.apply.deployments.before");
  expect(deaths).toBe(0);
  crashPoint("queues.apply.deployments.after");
  expect(deaths).toBe(1);
});

test("of several places the one it comes to first kills it", () => {
  const { log, entries } = recordLog();
  const crashPoint = makeCrashPoint("stores.roleSet,queues.routed", log, () => {
    throw new Error("died");
  });
  crashPoint("definitions.write.before");
  expect(() => crashPoint("queues.routed")).toThrow("died");
  expect(entries).toMatchObject([{ message: "dies at a crash point", fields: { place: "queues.routed" } }]);
});

test("recording tells each place once and kills nobody", () => {
  const { log, entries } = recordLog();
  const crashPoint = makeCrashPoint("record", log, () => expect.unreachable());
  for (const place of ["a", "b", "a"]) crashPoint(place);
  expect(entries.map(({ fields }) => fields["place"])).toEqual(["a", "b"]);
});

test("without a place nothing happens", () => {
  const { log, entries } = recordLog();
  makeCrashPoint(undefined, log, () => expect.unreachable())("a");
  expect(entries).toEqual([]);
});
