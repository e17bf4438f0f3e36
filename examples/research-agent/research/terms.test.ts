/** Claims about terms: which words are one, and which carry no meaning. */
import { expect, test } from "vitest";
import { findTerms, splitWords, termOfWord } from "./terms.ts";

test.each([
  ["replay", ["replay", "replays", "replayed", "replaying", "Replay"]],
  ["query", ["query", "queries"]],
  ["retry", ["retry", "retries", "retried", "retrying"]],
  ["kill", ["kill", "kills", "killed", "killing"]],
  ["commit", ["commit", "commits", "committed", "committing"]],
  ["leas", ["lease", "leases", "leased"]],
  ["status", ["status"]],
  ["process", ["process", "processed", "processing"]],
])("the term %s stands for %j", (term, words) => {
  expect(words.map(termOfWord)).toEqual(words.map(() => term));
});

test.each(["the", "Does", "every", "x", "something"])('"%s" has no term', (word) => {
  expect(termOfWord(word)).toBeNull();
});

test("words keep digits and letters of any script, in lower case", () => {
  expect(splitWords("Größe: 2 MiB, don't `panic`!")).toEqual(["größe", "2", "mib", "don't", "panic"]);
});

test("a text's terms come once, each with the word as first written", () => {
  expect([...findTerms("Killed workers kill the worker")]).toEqual([
    ["kill", "killed"],
    ["worker", "workers"],
  ]);
});
