/** Data on stdout: kubectl's columns, ages, and JSONPath templates. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { CommandError } from "../exit-codes.ts";
import { humanDuration } from "./age.ts";
import { fillTemplate } from "./json-path-template.ts";
import { parseOutputForm } from "./output-form.ts";
import { Printer } from "./printer.ts";
import type { View } from "./printer.ts";
import { layOut } from "./table.ts";

const RUNS = {
  items: [
    { runId: "a", status: "running", search: { city: "Ulm" } },
    { runId: "b", status: "failed", search: { city: "Bonn" } },
  ],
};

test.each([
  [59_999, "59s"],
  [119_000, "119s"],
  [125_000, "2m5s"],
  [600_000, "10m"],
  [3 * 3_600_000 + 60_000, "3h1m"],
  [30 * 3_600_000, "30h"],
  [3 * 86_400_000, "3d"],
  [3 * 86_400_000 + 7_200_000, "3d2h"],
  [400 * 86_400_000, "400d"],
  [-5, "0s"],
])("%i ms is shown as %s", (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

test("every cell of a column begins at the same place, and no line ends with a space", () => {
  const rows = fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,9}$/u), fc.stringMatching(/^[a-z]{1,9}$/u)), {
    minLength: 1,
  });
  fc.assert(
    fc.property(rows, (cells) => {
      const { lines } = layOut(cells);
      const second = new Set(lines.map((line, row) => line.lastIndexOf(cells[row]?.[1] ?? "")));
      expect(second.size).toBe(1);
      expect(lines.every((line) => line === line.trimEnd())).toBe(true);
    }),
  );
});

test.each([
  ["{.items[*].runId}", "a b"],
  ["{.items[0].search.city}", "Ulm"],
  ["{.items[?(@.status=='failed')].runId}", "b"],
  ['{range .items[*]}{.runId}{"\\t"}{.status}{"\\n"}{end}', "a\trunning\nb\tfailed\n"],
  ["run {.items[1].runId}!", "run b!"],
  ["{.items[0].search}", '{"city":"Ulm"}'],
  ["{.nothing}", ""],
])("the template %s is filled in as kubectl does", (template, text) => {
  expect(fillTemplate(template, RUNS)).toBe(text);
});

test.each(["{.items", "{range .items[*]}{.runId}", "{end}", "{.items[?(]}"])(
  "the template %s is refused with its reason",
  (template) => {
    expect(() => fillTemplate(template, RUNS)).toThrow(CommandError);
  },
);

test("a template runs no code", () => {
  expect(() =>
    fillTemplate("{.items[?(@.constructor.constructor('return process')().exit())].runId}", RUNS),
  ).toThrow(CommandError);
});

const VIEW: View<{ readonly runId: string; readonly status: string }> = {
  kind: "run",
  name: ({ runId }) => runId,
  columns: [
    { heading: "RUN ID", cell: ({ runId }) => runId },
    { heading: "STATUS", isWide: true, cell: ({ status }) => status },
  ],
};

async function printed(output: string | undefined, headings = true): Promise<string> {
  let text = "";
  const stdout = { write: (part: string) => void (text += part) };
  await new Printer({ stdout, form: parseOutputForm(output), headings }).list(VIEW, RUNS.items);
  return text;
}

test("each form of output shows the same list", async () => {
  expect(await printed(undefined)).toBe("RUN ID\na\nb\n");
  expect(await printed(undefined, false)).toBe("a\nb\n");
  expect(await printed("wide")).toBe("RUN ID   STATUS\na        running\nb        failed\n");
  expect(await printed("name")).toBe("run/a\nrun/b\n");
  expect(JSON.parse(await printed("json"))).toEqual(RUNS);
  expect(await printed("yaml")).toContain("items:\n  - runId: a\n");
  expect(await printed("jsonpath={.items[*].status}")).toBe("running failed\n");
  expect(() => parseOutputForm("xml")).toThrow(/-o takes table, wide, json/u);
});
