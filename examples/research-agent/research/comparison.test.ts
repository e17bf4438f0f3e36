/** Claims about the comparison: figures that can be checked by hand. */
import { expect, test } from "vitest";
import { compareFindings, takePerspective } from "./comparison.ts";
import type { Finding } from "./findings.ts";

function finding(claim: string, stance: Finding["stance"], strength: number, file = "a.md"): Finding {
  return { claim, stance, strength, score: 1, cues: [], citation: { file, line: 1, quote: claim } };
}

const KEPT = finding("Signals of a closed run are kept.", "supports", 3);
const REFUSED = finding("A closed run refuses signals.", "doubts", 1, "b.md");
const OTHER = finding("Timers may fire late.", "doubts", 2, "c.md");

test("a perspective counts its own side only and names its strongest finding", () => {
  expect(takePerspective([KEPT, REFUSED, OTHER], "doubts")).toEqual({
    stance: "doubts",
    findingCount: 2,
    strength: 3,
    files: ["b.md", "c.md"],
    strongest: OTHER,
  });
  expect(takePerspective([], "supports")).toMatchObject({ findingCount: 0, strength: 0, strongest: null });
});

test("the balance is the supporting share of all strength, and nothing without findings", () => {
  expect(compareFindings("signals", [KEPT, REFUSED, OTHER]).balance).toBe(0.5);
  expect(compareFindings("signals", []).balance).toBeNull();
});

test("coverage counts the findings that mention each word of the question", () => {
  expect(compareFindings("Is a signal lost in a closed run?", [KEPT, REFUSED, OTHER]).coverage).toEqual([
    { word: "signal", findingCount: 2 },
    { word: "lost", findingCount: 0 },
    { word: "closed", findingCount: 2 },
    { word: "run", findingCount: 2 },
  ]);
});

test("opposite findings about the same three things are a tension", () => {
  expect(compareFindings("signals", [KEPT, REFUSED, OTHER]).tensions).toEqual([
    { supports: KEPT, doubts: REFUSED, sharedWords: ["closed", "run", "signals"] },
  ]);
});
