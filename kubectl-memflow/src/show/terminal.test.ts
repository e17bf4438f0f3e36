/** Colours are for people: only on a terminal, and never where NO_COLOR asks for none. */
import { expect, test } from "vitest";
import { makeTerminal } from "./terminal.ts";

function outputOf(isTTY: boolean, columns?: number) {
  const written: string[] = [];
  const output = {
    isTTY,
    ...(columns === undefined ? {} : { columns }),
    write: (text: string) => written.push(text),
  };
  return { written, output };
}

test("a terminal gets colours, a pipe and NO_COLOR get plain text", () => {
  expect(makeTerminal(outputOf(true).output, {}).paint("good", "done")).toBe("\u001b[32mdone\u001b[39m");
  expect(makeTerminal(outputOf(true).output, {}).paint("plain", "done")).toBe("done");
  expect(makeTerminal(outputOf(false).output, {}).paint("good", "done")).toBe("done");
  expect(makeTerminal(outputOf(true).output, { NO_COLOR: "1" }).paint("good", "done")).toBe("done");
  expect(makeTerminal(outputOf(true).output, { NO_COLOR: "" }).paint("bad", "x")).not.toBe("x");
});

test("a line is one write", () => {
  const { written, output } = outputOf(false);
  const terminal = makeTerminal(output, {});
  terminal.line("one");
  terminal.line();
  expect(written).toEqual(["one\n", "\n"]);
});

test("the width is the terminal's within reason, and a usual one where it is unknown", () => {
  expect(
    [undefined, 0, 80, 400].map((columns) => makeTerminal(outputOf(true, columns).output, {}).columns),
  ).toEqual([100, 100, 80, 120]);
});
