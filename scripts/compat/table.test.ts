import { expect, test } from "vitest";
import { readCompatTable } from "./table.ts";

const HEAD = "| what | HotMesh | MemFlow | tests |\n| --- | --- | --- | --- |";
const ROW = "| start | starts | same | `a.test.ts > one` |";

test("rows are read from every table of that head, and from no other", () => {
  const other = "| name | meaning |\n| --- | --- |\n| not | a row |";
  const second =
    "| stop | hangs \\| dies | differs: it ends | `a.test.ts > one`<br>`` b.test.ts > two \\| `three` `` |";
  const rows = readCompatTable(`# Page\n\n${other}\n\n${HEAD}\n${ROW}\n\ntext\n\n${HEAD}\n${second}\n`);
  expect(rows).toEqual([
    { id: "start", line: 9, verdict: "same", tests: ["a.test.ts > one"], faults: [] },
    {
      id: "stop",
      line: 15,
      verdict: "differs",
      tests: ["a.test.ts > one", "b.test.ts > two | `three`"],
      faults: [],
    },
  ]);
});

test("a row for later needs its reason alone", () => {
  const [row] = readCompatTable(`${HEAD}\n| prune | prunes | later: with the services | |`);
  expect(row).toMatchObject({ verdict: "later", tests: [], faults: [] });
});

test("a row that stands there twice is a fault of the second", () => {
  const faults = readCompatTable(`${HEAD}\n${ROW}\n${ROW}`).map((row) => row.faults);
  expect(faults).toEqual([[], ["is the row of line 3 once more"]]);
});

test.each([
  ["| start | starts | same |", "has 3 cells, not 4"],
  ["| | starts | same | `a.test.js > one` |", "has no id"],
  ["| start | | same | `a.test.js > one` |", "does not say what HotMesh does"],
  ["| start | starts | alike | `a.test.js > one` |", "does not begin with same, differs, later or missing"],
  ["| start | starts | differs | `a.test.js > one` |", 'says "differs" and not why'],
  ["| start | starts | same | |", "names no test"],
  ["| start | starts | later | |", 'says "later" and not why'],
  ["| start | starts | missing: not built | |", "is missing"],
  [
    "| start | starts | same | a.test.js > one |",
    "holds something else than tests as inline code in its last cell",
  ],
])("the row %j %s", (row, fault) => {
  expect(readCompatTable(`${HEAD}\n${row}`)[0]?.faults).toContain(fault);
});
