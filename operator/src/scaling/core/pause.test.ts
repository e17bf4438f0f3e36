import { expect, test } from "vitest";
import { readPause } from "./pause.ts";

test("no annotation pauses nothing", () => {
  expect(readPause({ other: "true" })).toEqual({
    pause: { scaleIn: false, scaleOut: false, replicas: null },
    faults: [],
  });
});

test.each([
  [{ "memflow.io/scaling-paused": "true" }, { scaleIn: true, scaleOut: true, replicas: null }],
  [{ "memflow.io/scaling-paused": "false" }, { scaleIn: false, scaleOut: false, replicas: null }],
  [{ "memflow.io/scaling-paused-scale-in": "true" }, { scaleIn: true, scaleOut: false, replicas: null }],
  [{ "memflow.io/scaling-paused-scale-out": "true" }, { scaleIn: false, scaleOut: true, replicas: null }],
  [{ "memflow.io/scaling-paused-replicas": "0" }, { scaleIn: false, scaleOut: false, replicas: 0 }],
])("%j means %j", (annotations, pause) => {
  expect(readPause(annotations)).toEqual({ pause, faults: [] });
});

test.each([
  ["memflow.io/scaling-paused", "yes", { scaleIn: true, scaleOut: true, replicas: null }],
  ["memflow.io/scaling-paused-scale-in", "", { scaleIn: true, scaleOut: false, replicas: null }],
  ["memflow.io/scaling-paused-replicas", "-1", { scaleIn: true, scaleOut: true, replicas: null }],
  ["memflow.io/scaling-paused-replicas", "1001", { scaleIn: true, scaleOut: true, replicas: null }],
])("%s: %j can't be read, so it pauses and says so", (name, value, pause) => {
  const read = readPause({ [name]: value });
  expect(read.pause).toEqual(pause);
  expect(read.faults).toEqual([expect.stringContaining(`"${name}" is "${value}"; write`)]);
});
