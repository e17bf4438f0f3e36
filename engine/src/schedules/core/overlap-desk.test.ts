/** What the desk decides beside what the properties and the tests on Postgres show. */
import { expect, test } from "vitest";
import type { OverlapPolicy } from "./definition.ts";
import { BUFFER_MAX, OverlapDesk } from "./overlap-desk.ts";
import type { StartRequest } from "./state.ts";

function requestOf(atMs: number, overlap: OverlapPolicy): StartRequest {
  return { atMs, cause: { kind: "time" }, overlap };
}

test("so many starts wait and no more", () => {
  const desk = new OverlapDesk({ open: ["run"], mayStart: () => true });
  for (let atMs = 0; atMs < BUFFER_MAX + 2; atMs += 1) desk.take(requestOf(atMs, "BufferAll"));
  expect(desk.buffer).toHaveLength(BUFFER_MAX);
  expect(desk.skipped.map(({ atMs }) => atMs)).toEqual([BUFFER_MAX, BUFFER_MAX + 1]);
});

test.each(["CancelOther", "TerminateOther"] as const)(
  "of several times at once only the last one starts under %s",
  (overlap) => {
    const desk = new OverlapDesk({ open: ["run"], mayStart: () => true });
    for (const atMs of [1, 2, 3]) desk.take(requestOf(atMs, overlap));
    expect(desk.starts.map(({ atMs }) => atMs)).toEqual([3]);
    expect(desk.skipped.map(({ atMs }) => atMs)).toEqual([1, 2]);
    expect(desk.ends).toHaveLength(1);
  },
);
