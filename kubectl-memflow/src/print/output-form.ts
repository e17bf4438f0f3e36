/** What `-o` says. Pure. */
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

/** A form of data on stdout. */
export type OutputForm =
  | { readonly kind: "table" | "wide" | "json" | "yaml" | "name" }
  | { readonly kind: "jsonpath"; readonly template: string };

const KINDS = ["table", "wide", "json", "yaml", "name"] as const;
const JSON_PATH = "jsonpath=";

/** @throws {CommandError} With exit code 2, with the forms that there are. */
export function parseOutputForm(text: string | undefined): OutputForm {
  if (text === undefined) return { kind: "table" };
  if (text.startsWith(JSON_PATH)) return { kind: "jsonpath", template: text.slice(JSON_PATH.length) };
  const kind = KINDS.find((one) => one === text);
  if (kind === undefined) {
    throw new CommandError(
      EXIT_CODES.usage,
      `no output form "${text}": -o takes ${KINDS.join(", ")} and jsonpath='{...}'`,
    );
  }
  return { kind };
}
