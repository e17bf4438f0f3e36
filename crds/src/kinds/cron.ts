/**
 * Cron expressions: five fields, or a word such as `@daily`.
 *
 * One regular expression knows the range of every field, so that an API server refuses `61 * * * *` by itself. A day that no
 * month has (30 February) is well-formed and never comes.
 */
import type { z } from "zod";
import { formedText } from "../patterns.ts";

const MINUTE = "[0-5]?[0-9]";
const HOUR = "([01]?[0-9]|2[0-3])";
const DAY = "(0?[1-9]|[12][0-9]|3[01])";
const MONTH = "(0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)";
const WEEKDAY = "([0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)";
const WORDS = "@(yearly|annually|monthly|weekly|daily|midnight|hourly)";

const PATTERN = new RegExp(
  `^(${WORDS}|${[MINUTE, HOUR, DAY, MONTH, WEEKDAY].map(fieldPattern).join(" ")})$`,
  "u",
);

/** Values, ranges and steps of one field, with commas between them. */
function fieldPattern(value: string): string {
  const item = `([*]|${value}(-${value})?)([/][1-9][0-9]?)?`;
  return `${item}(,${item})*`;
}

/** One cron expression. */
export const cronExpression: z.ZodString = formedText({
  max: 128,
  pattern: PATTERN,
  message:
    'must be a cron expression of minute, hour, day, month and weekday, like "30 9 * * MON-FRI", or a word like @daily',
});
