/** The signal of an attempt, asked for before or after its end. */
import { expect, test } from "vitest";
import { AttemptAbort } from "./attempt-abort.ts";

test("a signal that was asked for before is aborted with the reason", () => {
  const abort = new AttemptAbort();
  const { signal } = abort;
  abort.abort(new Error("first"));
  abort.abort(new Error("second"));
  expect(abort.signal).toBe(signal);
  expect(signal.aborted && (signal.reason as Error).message).toBe("first");
});

test("a signal that is asked for afterwards is aborted already", () => {
  const abort = new AttemptAbort();
  expect(abort.aborted).toBe(false);
  abort.abort(new Error("too late"));
  expect(abort.aborted).toBe(true);
  expect(abort.signal.aborted && (abort.signal.reason as Error).message).toBe("too late");
});
