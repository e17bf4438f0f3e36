/** Claims about the stance lexicon, one sentence each: what speaks for a thing, what doubts it, what does neither. */
import { expect, test } from "vitest";
import { judgeStance, type Stance } from "./stance.ts";

test.each<[Stance, string]>([
  ["supports", "An acknowledged signal is never lost."],
  ["supports", "No run was lost in ten thousand kills."],
  ["supports", "The same run finishes, and no recorded step is done twice."],
  ["supports", "An activity runs at least once."],
  ["supports", "The engine guarantees one recorded outcome for each step."],
  ["supports", "A replay of 1,000 steps took 1.2 ms."],
  ["supports", "Runs survive a restart of the database."],
  ["doubts", "Exactly-once delivery is not guaranteed."],
  ["doubts", "A timer does not survive that."],
  ["doubts", "Schedules are not yet there."],
  ["doubts", "The result might be stale."],
  ["doubts", "A payload is limited by the store."],
  ["doubts", "Workers cannot read it."],
  ["neutral", "It is parked: no worker has it, nothing of it is lost, but its code can't go on."],
  ["neutral", "A hook is a function inside a run's memory."],
  ["neutral", "It always works, but only sometimes."],
])("%s: %s", (stance, sentence) => {
  expect(judgeStance(sentence).stance).toBe(stance);
});

test("the judgement names the words that decided", () => {
  expect(judgeStance("A signal is never lost, but it may come late.")).toEqual({
    stance: "neutral",
    weight: 0,
    cues: ["harm ruled out: never lost", "hedge: may", "limit: but"],
  });
});

test("a harm ruled out is not counted again as a negation", () => {
  expect(judgeStance("It never fails.")).toEqual({
    stance: "supports",
    weight: 2,
    cues: ["harm ruled out: never fails"],
  });
});

test("a family counts once, however often it is seen", () => {
  expect(judgeStance("It took 5 ms, 6 ms and 7 ms.").weight).toBe(1);
});

test("a typographic apostrophe is an apostrophe", () => {
  expect(judgeStance("It can’t be done.")).toEqual(judgeStance("It can't be done."));
});
