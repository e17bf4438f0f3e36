/** Claims about the agent's input: defaults, and errors that name the field. */
import { FatalError } from "@memflow/sdk";
import { expect, test } from "vitest";
import { checkResearchInput } from "./input.ts";

test("a question alone gets every default", () => {
  const request = { question: "Why?", corpus: null, findingsMax: 12, paceMs: 20, reportFile: null };
  expect(checkResearchInput("Why?")).toEqual(request);
  expect(checkResearchInput({ question: " Why? " })).toEqual(request);
});

test("options are kept", () => {
  const request = { question: "Why?", corpus: "notes", findingsMax: 1, paceMs: 0, reportFile: "report.md" };
  expect(checkResearchInput(request)).toEqual(request);
});

test.each([
  ["input", 7],
  ["input", null],
  ["input", ["Why?"]],
  ["question", {}],
  ["question", "   "],
  ["question", { question: "x".repeat(1001) }],
  ["corpus", { question: "Why?", corpus: 5 }],
  ["findingsMax", { question: "Why?", findingsMax: 0 }],
  ["paceMs", { question: "Why?", paceMs: 1.5 }],
  ["paceMs", { question: "Why?", paceMs: "20" }],
  ["reportFile", { question: "Why?", reportFile: "" }],
  ["pace", { question: "Why?", pace: 20 }],
])("a bad %s is named: %j", (field, input) => {
  expect(() => checkResearchInput(input)).toThrow(
    expect.objectContaining({ name: "ResearchInputError", field }),
  );
  expect(() => checkResearchInput(input)).toThrow(FatalError);
});
