/**
 * The agent's input: what a caller may write, and what the agent makes of it.
 *
 * Pure. Promises a checked input with every default filled in, or an error that names the field, the value and the remedy.
 */
import { FatalError } from "@memflow/sdk";

/** What to research: a question alone, or with options. */
export type ResearchInput = string | ResearchOptions;

/** A question and how to go about it. */
export type ResearchOptions = {
  readonly question: string;
  /** Folder or file on the workers' machine; the project's own documents when left out. */
  readonly corpus?: string;
  /** Findings in the report, 1..100 (default 12). */
  readonly findingsMax?: number;
  /** Wait after each document, 0..10,000 ms (default 20), so that a person can watch, and kill, a run. */
  readonly paceMs?: number;
  /** Markdown file that the child `sendUpdates` writes the report to; no such child when left out. */
  readonly reportFile?: string;
};

/** The input with its defaults. */
export type ResearchRequest = {
  readonly question: string;
  readonly corpus: string | null;
  readonly findingsMax: number;
  readonly paceMs: number;
  readonly reportFile: string | null;
};

/** An option of the input that cannot be used. Final: a bad input stays bad, so the run is not tried again. */
class ResearchInputError extends FatalError {
  readonly field: string;

  constructor(field: string, value: unknown, remedy: string) {
    super(`${field}: got ${JSON.stringify(value) ?? "nothing"}, ${remedy}`);
    this.name = "ResearchInputError";
    this.field = field;
  }
}

const QUESTION_CHARACTERS_MAX = 1000;
const PATH_CHARACTERS_MAX = 4096;

const FIELDS: readonly string[] = ["question", "corpus", "findingsMax", "paceMs", "reportFile"];

/**
 * Checks an input, whatever it is, and fills in the defaults.
 *
 * @throws {ResearchInputError} When a field is unknown, missing or out of range.
 */
export function checkResearchInput(input: unknown): ResearchRequest {
  const options = typeof input === "string" ? { question: input } : input;
  if (!isRecord(options))
    throw new ResearchInputError("input", input, 'want a question or {"question": "..."}');
  const unknownField = Object.keys(options).find((field) => !FIELDS.includes(field));
  if (unknownField !== undefined) {
    throw new ResearchInputError(
      unknownField,
      options[unknownField],
      `no such field: use ${FIELDS.join(", ")}`,
    );
  }
  return {
    question: checkText("question", options["question"], QUESTION_CHARACTERS_MAX),
    corpus: checkOptionalPath("corpus", options["corpus"]),
    findingsMax: checkInteger("findingsMax", options["findingsMax"] ?? 12, { min: 1, max: 100 }),
    paceMs: checkInteger("paceMs", options["paceMs"] ?? 20, { min: 0, max: 10_000 }),
    reportFile: checkOptionalPath("reportFile", options["reportFile"]),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkText(field: string, value: unknown, charactersMax: number): string {
  if (typeof value === "string" && value.trim() !== "" && value.length <= charactersMax) return value.trim();
  throw new ResearchInputError(field, value, `want 1 to ${charactersMax} characters`);
}

function checkOptionalPath(field: string, value: unknown): string | null {
  return value === undefined || value === null ? null : checkText(field, value, PATH_CHARACTERS_MAX);
}

function checkInteger(
  field: string,
  value: unknown,
  range: { readonly min: number; readonly max: number },
): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= range.min && value <= range.max)
    return value;
  throw new ResearchInputError(field, value, `want a whole number from ${range.min} to ${range.max}`);
}
