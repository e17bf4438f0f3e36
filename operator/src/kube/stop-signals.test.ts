/** How a process learns that it is to end. */
import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { listenForStop } from "./stop-signals.ts";

test.each(["SIGTERM", "SIGINT"])("%s aborts, and says which it was", (name) => {
  const source = new EventEmitter();
  const { signal } = listenForStop(source);
  source.emit(name, name);
  expect(signal.reason).toMatchObject({ code: "STOP_SIGNAL", signalName: name });
});

test("after the first signal, and after disposal, Node decides again", () => {
  const source = new EventEmitter();
  listenForStop(source);
  source.emit("SIGTERM", "SIGTERM");
  expect(source.eventNames()).toEqual([]);
  const { dispose, signal } = listenForStop(source);
  dispose();
  expect(source.eventNames()).toEqual([]);
  expect(signal.aborted).toBe(false);
});
