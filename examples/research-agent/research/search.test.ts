/** Claims about the search: relevance decides, the order is always the same, and no shared words means no match. */
import { expect, test } from "vitest";
import { searchSentences } from "./search.ts";
import { extractSentences } from "./sentences.ts";

const DOCUMENTS = {
  "queues.md": "# Queues\n\nA queue feeds its workers in order. A queue that is empty costs nothing.",
  "replay.md": "# Replay\n\nA worker replays the history of a run. The garden is full of flowers.",
};

async function search(question: string, matchMax = 10) {
  const sentences = Object.entries(DOCUMENTS).flatMap(([file, text]) =>
    extractSentences(text).map((sentence) => ({ ...sentence, file })),
  );
  return searchSentences(sentences, { question, matchMax });
}

test("the sentence that shares most of the question comes first, with its place", async () => {
  const [best] = await search("Which worker is replaying a history?");
  expect(best).toMatchObject({
    file: "replay.md",
    line: 3,
    heading: "Replay",
    terms: ["worker", "replaying", "history"],
  });
  expect(best?.score).toBeGreaterThan(0);
});

test("a sentence must share two of the question's words, or its only one", async () => {
  expect(await search("garden flowers")).toHaveLength(1);
  expect(await search("flowers of history")).toEqual([]);
  expect(await search("purple flowers")).toEqual([]);
  expect(await search("flowers")).toHaveLength(1);
});

test("a heading counts for the sentences below it", async () => {
  const matches = await search("queue costs");
  expect(matches.map(({ text }) => text)).toContain("A queue that is empty costs nothing.");
});

test("another question gives other matches, a foreign one none", async () => {
  const [queues] = await search("empty queue");
  const [replay] = await search("history of a run");
  expect(queues?.file).toBe("queues.md");
  expect(replay?.file).toBe("replay.md");
  expect(await search("zebra unicorn")).toEqual([]);
  expect(await search("is it the one?")).toEqual([]);
});

test("equal sentences count once and the limit holds", async () => {
  const sentence = { text: "The same words again.", quote: "The same words again.", line: 1, heading: "" };
  const twice = [
    { ...sentence, file: "b.md" },
    { ...sentence, file: "a.md" },
  ];
  expect(await searchSentences(twice, { question: "same words", matchMax: 10 })).toHaveLength(1);
  expect(await search("queue", 1)).toHaveLength(1);
});
