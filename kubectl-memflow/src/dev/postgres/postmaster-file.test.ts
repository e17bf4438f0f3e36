/** What a server wrote about itself is read at every stage of its life. */
import { expect, test } from "vitest";
import { parsePostmasterFile } from "./postmaster-file.ts";

test("a complete file names the process, the port and the status", () => {
  const text = "4711\n/data\n1700000000\n54321\n\n127.0.0.1\n  1234  5678\nready   \n";
  expect(parsePostmasterFile(text)).toEqual({ pid: 4711, port: 54_321, status: "ready" });
});

test("a server that is just beginning has no status yet", () => {
  expect(parsePostmasterFile("4711\n/data\n1700000000\n")).toEqual({ pid: 4711, port: 0, status: "" });
});

test("a file that is empty, cut short or written by a standalone backend names no process", () => {
  for (const text of ["", "\n", "-4711\n/data\n", "words\n"])
    expect(parsePostmasterFile(text)).toBeUndefined();
});
