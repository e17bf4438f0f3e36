/** Which leases a worker knows that it holds. */
import { expect, test } from "vitest";
import { ActivityExecutor } from "./activity-executor.ts";
import type { LeasedOutcome } from "./activity-settler.ts";
import { LeasedAttempts } from "./leased-attempts.ts";
import type { LeasedActivity } from "./run-loader.ts";

test("an attempt that is leased again before its settlement is heard of stays known", () => {
  const outcomes: LeasedOutcome[] = [];
  const leases = new LeasedAttempts({
    activities: { find: () => () => "done", names: () => ["work"] },
    executor: new ActivityExecutor({
      workerId: "x",
      slots: 10,
      marks: { enter: () => undefined, leave: () => undefined },
      onFree: () => undefined,
      onLate: () => undefined,
    }),
    settler: { busy: false, add: (outcome) => void outcomes.push(outcome) },
    lookAgain: () => undefined,
  });
  const lease = (): LeasedActivity => ({
    runId: "run",
    position: 0,
    attempt: 1,
    name: "work",
    args: null,
    policy: null,
    workflowId: "w",
    workflowName: "w",
  });
  const again = lease();
  leases.run("queue", lease());
  leases.run("queue", again);
  leases.settled(outcomes.slice(0, 1));
  expect(leases.all()).toEqual([again]);
  leases.settled(outcomes.slice(1));
  expect(leases.size).toBe(0);
});
