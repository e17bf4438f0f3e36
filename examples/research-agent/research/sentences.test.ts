/** Claims about sentence extraction: what counts as a sentence, and that each is found again where it says it stands. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { extractSentences } from "./sentences.ts";

function textsOf(document: string): string[] {
  return extractSentences(document).map(({ text }) => text);
}

test("a sentence knows its first line even when it wraps", () => {
  const document =
    "# Title\n\nFirst one is quite short.\nThe second sentence begins here\nand ends on the next line.\n";
  expect(extractSentences(document)).toEqual([
    { text: "First one is quite short.", quote: "First one is quite short.", line: 3, heading: "Title" },
    {
      text: "The second sentence begins here and ends on the next line.",
      quote: "The second sentence begins here and ends on the next line.",
      line: 4,
      heading: "Title",
    },
  ]);
});

test("a quote keeps the markup that the text drops", () => {
  const [sentence] = extractSentences("A **run** keeps its [memory](docs/a.md#b) in `jsonb`, *always*.");
  expect(sentence?.text).toBe("A run keeps its memory in jsonb, always.");
  expect(sentence?.quote).toBe("A **run** keeps its [memory](docs/a.md#b) in `jsonb`, *always*.");
});

test("markup at either end of a sentence is part of its quote", () => {
  expect(extractSentences("**Bold words stand here.** `memflow dev` runs it [now](a.md).")).toMatchObject([
    { text: "Bold words stand here.", quote: "**Bold words stand here.**" },
    { text: "memflow dev runs it now.", quote: "`memflow dev` runs it [now](a.md)." },
  ]);
});

test("names with underscores and types with angle brackets stay whole", () => {
  expect(textsOf("The keys `__proto__` and max_wal_size give a Promise<void> here.")).toEqual([
    "The keys __proto__ and max_wal_size give a Promise<void> here.",
  ]);
});

test("code, comments, front matter, headings, rules and questions are no statements", () => {
  const document = [
    "---",
    "title: this is not a sentence at all.",
    "---",
    "## A heading with more than four words",
    "```ts",
    "const this_is = 'code that looks like a sentence.';",
    "```",
    "<!-- a comment that looks like a sentence. -->",
    "---",
    "Does this question count as a statement?",
    "These four words follow:",
    "",
    "Only this line is a statement.",
  ].join("\n");
  expect(extractSentences(document)).toEqual([
    expect.objectContaining({ text: "Only this line is a statement.", line: 13 }),
  ]);
});

test("list items, quotations and table cells are texts of their own, headers of tables are none", () => {
  const document = [
    "- the first item has no full stop",
    "- the second item goes on",
    "  in the next line",
    "",
    "> quoted words are read as well",
    "",
    "| key | meaning of this key |",
    "| --- | --- |",
    "| I2 | an acknowledged start is never lost |",
  ].join("\n");
  expect(extractSentences(document).map(({ text, line }) => [line, text])).toEqual([
    [1, "the first item has no full stop"],
    [2, "the second item goes on in the next line"],
    [5, "quoted words are read as well"],
    [9, "an acknowledged start is never lost"],
  ]);
});

test("an abbreviation does not end a sentence", () => {
  expect(textsOf("Some databases (e.g. Postgres) keep every row. Dr. Smith agrees with that.")).toEqual([
    "Some databases (e.g. Postgres) keep every row.",
    "Dr. Smith agrees with that.",
  ]);
});

test("every quote stands at its line, whatever the document", () => {
  const line = fc.stringMatching(/^(?:[-#>|] )?[a-z*_`.[\]() ]{0,60}$/);
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const document = lines.join("\n");
      for (const sentence of extractSentences(document)) {
        const fromThere = lines
          .slice(sentence.line - 1)
          .join("\n")
          .replaceAll(/^[ \t>]+/gm, "")
          .replaceAll(/\s+/g, " ");
        expect(fromThere).toContain(sentence.quote.replaceAll(/> /g, ""));
      }
    }),
  );
});
