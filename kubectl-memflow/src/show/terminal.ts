/**
 * Where `memflow dev` prints: lines, with colours only where a person looks at them.
 *
 * Colours follow the output (a TTY) and the convention of NO_COLOR. Promises plain text otherwise, one write a line.
 */
import { styleText } from "node:util";

/** What a piece of text means; each has one look. */
export type Tone = "title" | "good" | "bad" | "note" | "name" | "plain";

/** A sink for lines. */
export interface Terminal {
  line(text?: string): void;
  paint(tone: Tone, text: string): string;
  /** Characters in a line, for wrapping. */
  readonly columns: number;
}

/** As much of a stream as is needed. */
interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const LOOKS = { title: "bold", good: "green", bad: "red", note: "dim", name: "cyan" } as const;
const COLUMNS_DEFAULT = 100;
const COLUMNS_MAX = 120;

/** Makes the terminal of an output. */
export function makeTerminal(
  output: Output,
  environment: Readonly<Record<string, string | undefined>>,
): Terminal {
  // A terminal that does not know its width says 0.
  const columns = output.columns === undefined || output.columns === 0 ? COLUMNS_DEFAULT : output.columns;
  const coloured = output.isTTY === true && (environment["NO_COLOR"] ?? "") === "";
  return {
    line: (text = "") => void output.write(`${text}\n`),
    paint: (tone, text) =>
      coloured && tone !== "plain" ? styleText(LOOKS[tone], text, { validateStream: false }) : text,
    columns: Math.min(COLUMNS_MAX, columns),
  };
}
