/**
 * Texts of a certain form, and the form's message.
 *
 * The form is a rule rather than OpenAPI's `pattern`, whose message is the expression itself and tells nobody what to write.
 * Promises expressions that RE2 and JavaScript read alike: no look-around, no back-reference, no backslash.
 */
import { z } from "zod";
import { withRules } from "./rules.ts";
import type { Rule } from "./rules.ts";

/** What a text must look like and how that is said. */
export interface TextForm {
  /** Least characters (default: 1). */
  readonly min?: number;
  readonly max: number;
  readonly pattern: RegExp;
  readonly message: string;
}

/** A text of a form. */
export function formedText(form: TextForm): z.ZodString {
  return withRules(
    z
      .string()
      .min(form.min ?? 1)
      .max(form.max),
    [formRule(form)],
  );
}

function formRule({ pattern, message }: TextForm): Rule<string> {
  return {
    cel: `self.matches(${celText(pattern.source)})`,
    message,
    holds: (self) => pattern.test(self),
  };
}

/** A text as a literal of CEL. */
export function celText(text: string): string {
  if (/['\\\n]/u.test(text))
    throw new Error(`CEL text ${JSON.stringify(text)} needs escapes: write it without`);
  return `'${text}'`;
}
