/** The diagnosis names the line of user code; here the lines are marked, and looked up in this very file. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { HistoryMismatchError } from "../core/errors.ts";
import { EVENT_KIND } from "../core/events.ts";
import { HandDrivenRun, durable } from "../testing/hand-driven-run.ts";
import { lacksPlace } from "./diagnosis.ts";
import type { PlacelessError } from "./diagnosis.ts";
import type { Invoke } from "./run-machine.ts";

const FILE = import.meta.filename;
const LINES = readFileSync(FILE, "utf8").split("\n");

/** A promise that was made outside every run and never settles. */
let outside: Promise<unknown>;
beforeAll(() => {
  outside = new Promise(() => undefined);
});

/** Runs it until it fails, and lets the diagnosis look at it. */
async function diagnosed(
  invoke: Invoke,
  drive?: (run: HandDrivenRun) => Promise<void>,
): Promise<PlacelessError> {
  const run = await HandDrivenRun.prepare(invoke);
  return await run.diagnose(await failureOf(run.begin().then(() => drive?.(run))));
}

/** What a run that must fail without a place fails with. */
async function failureOf(failing: Promise<unknown>): Promise<PlacelessError> {
  const error = await failing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!lacksPlace(error)) throw new Error(`nothing to diagnose: ${String(error)}`);
  return error;
}

/** The line that bears the mark, as a place without its column. */
function marked(mark: string): string {
  const index = LINES.findIndex((line) => line.includes(`// <- ${mark}`));
  return `${FILE}:${index + 1}`;
}

function lineOf(error: PlacelessError): string {
  return error.place.replace(/:\d+$/, "");
}

async function ownIo(): Promise<void> {
  await new Promise(() => undefined); // <- own io
}

async function deeper(): Promise<void> {
  await durable.activity("first");
  await ownIo();
}

test("an await of a promise that was made outside the run is named", async () => {
  const error = await diagnosed(async () => {
    await outside; // <- direct
  });
  expect(lineOf(error)).toBe(marked("direct"));
  expect(error.message).toContain(error.place);
});

test("of nested awaits the innermost is named, also in a later activation", async () => {
  const error = await diagnosed(
    async () => {
      await deeper();
    },
    (run) => run.complete(0, 1),
  );
  expect(lineOf(error)).toBe(marked("own io"));
});

test("an await in one branch of a Promise.all is named, not the Promise.all of the others", async () => {
  const error = await diagnosed(
    async () => {
      const branch = async (): Promise<void> => {
        await durable.activity("a");
        await outside; // <- branch
      };
      await Promise.all([branch(), durable.activity("b")]);
    },
    async (run) => {
      await run.complete(0, 1);
      await run.complete(1, 1);
    },
  );
  expect(lineOf(error)).toBe(marked("branch"));
});

test("a race that something not durable has won is named, though a durable call is still open", async () => {
  let settle: (() => void) | undefined;
  outside = new Promise<void>((resolve) => (settle = resolve));
  const run = await HandDrivenRun.start(async () => {
    await Promise.race([durable.activity("slow"), outside]); // <- race
  });
  const strayed = new Promise<void>((resolve) => run.machine.onStray(resolve));
  settle?.();
  await strayed;
  outside = new Promise(() => undefined);
  const named = await run.diagnose(await failureOf(Promise.reject(run.context.violated)));
  expect(lineOf(named)).toBe(marked("race"));
  expect(named.message).toMatch(/^the end of "byHand" is not deterministic .* it followed an await/);
});

test("a `then` on something that is not durable is named", async () => {
  const error = await diagnosed(
    () => outside.then(() => 1), // <- then
  );
  expect(lineOf(error)).toBe(marked("then"));
});

test("a workflow that returns a promise of its own making is named where it makes it", async () => {
  const error = await diagnosed(
    () => new Promise(() => undefined), // <- returned
  );
  expect(lineOf(error)).toBe(marked("returned"));
});

test("an await for resolvers that nobody calls is named", async () => {
  const error = await diagnosed(async () => {
    const { promise } = Promise.withResolvers();
    await promise; // <- resolvers
  });
  expect(lineOf(error)).toBe(marked("resolvers"));
});

test("code that asks for something else than its history is named where it asks", async () => {
  const error = await diagnosed(
    async () => {
      await durable.activity("charge");
      await durable.sleep(5); // <- changed
    },
    async (run) => {
      await run.complete(0, 1);
      await run.apply({ kind: EVENT_KIND.activityCompleted, position: 1, name: "ship", payload: "1" });
    },
  );
  expect(error).toBeInstanceOf(HistoryMismatchError);
  expect(lineOf(error)).toBe(marked("changed"));
  expect(error).toMatchObject({ position: 1, expected: 'activity "ship"', actual: "timer" });
});

test("code that asks for nothing more is named at its last call", async () => {
  const error = await diagnosed(
    async () => {
      await durable.activity("charge"); // <- last
    },
    async (run) => {
      await run.complete(0, 1);
      await run.apply({ kind: EVENT_KIND.activityCompleted, position: 1, name: "ship", payload: "1" });
    },
  );
  expect(lineOf(error)).toBe(marked("last"));
});

test("the places of a second attempt are those of the second attempt", async () => {
  const error = await diagnosed(
    async (context) => {
      if (context.attempt === 1) {
        await durable.activity("a");
        throw new Error("once");
      }
      await durable.activity("b");
      await outside; // <- second attempt
    },
    async (run) => {
      await run.complete(0, 1);
      await run.apply({ kind: EVENT_KIND.attemptFailed, position: 1, payload: "{}" });
      await run.apply({ kind: EVENT_KIND.timerFired, name: "restart" });
      await run.complete(1, 1);
    },
  );
  expect(lineOf(error)).toBe(marked("second attempt"));
});

test("changes of the entity by others are there when the run is replayed", async () => {
  const run = await HandDrivenRun.start(async (context) => {
    await durable.change({ op: "increment", path: "n", by: 1 } as never);
    if (context.entity.read(context.entity.entityNo, "n") === 5) await outside; // <- after theirs
    await durable.activity("a");
  });
  const changes = [{ entityNo: 1, payload: '{"op":"set","value":{"n":4}}' }];
  run.context.entity.feed(changes);
  const mine = {
    kind: EVENT_KIND.entityChanged,
    position: 0,
    name: "increment",
    payload: '{"op":"increment","path":"n","by":1}',
    entityNo: 2,
  } as const;
  const named = await run.diagnose(await failureOf(run.apply(mine)), changes);
  expect(lineOf(named)).toBe(marked("after theirs"));
});

test("an error that the replay does not show again comes back as it was", async () => {
  const run = await HandDrivenRun.start(async () => await durable.activity("a"));
  const error = new HistoryMismatchError({
    position: 3,
    expected: "timer",
    actual: "nothing more",
    place: "",
  });
  expect(await run.diagnose(error)).toBe(error);
});
