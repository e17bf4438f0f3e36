/**
 * Prints data on stdout in the form that was asked for.
 *
 * Promises that a list prints as `{ "items": [...] }` in JSON, YAML and to JSONPath, and a thing alone as itself.
 */
import type { OutputStream } from "../cli/cli-io.ts";
import type { OutputForm } from "./output-form.ts";
import { layOut } from "./table.ts";

/** A column of a table. */
export interface Column<Item> {
  readonly heading: string;
  /** Only with `-o wide`. */
  readonly isWide?: true;
  readonly cell: (item: Item, nowMs: number) => string;
}

/** How a kind of thing is shown. */
export interface View<Item> {
  /** As `-o name` says before the slash. */
  readonly kind: string;
  readonly name: (item: Item) => string;
  readonly columns: readonly Column<Item>[];
}

/** How to print. */
export interface PrinterOptions {
  readonly stdout: OutputStream;
  readonly form: OutputForm;
  /** False: tables without headings. */
  readonly headings: boolean;
}

/** @see PrinterOptions */
export class Printer {
  readonly form: OutputForm;
  readonly #options: PrinterOptions;
  #widths: readonly number[] = [];
  #hasHeadings = false;

  constructor(options: PrinterOptions) {
    this.#options = options;
    this.form = options.form;
  }

  /** Prints a list. */
  async list<Item>(view: View<Item>, items: readonly Item[]): Promise<void> {
    if (this.form.kind === "table" || this.form.kind === "wide") this.rows(view, items);
    else if (this.form.kind === "name") this.#names(view, items);
    else await this.value({ items });
  }

  /** Prints one thing. */
  async one<Item>(view: View<Item>, item: Item): Promise<void> {
    if (this.form.kind === "table" || this.form.kind === "wide") this.rows(view, [item]);
    else if (this.form.kind === "name") this.#names(view, [item]);
    else await this.value(item);
  }

  /** Prints rows of a table that may go on: the headings once. */
  rows<Item>(view: View<Item>, items: readonly Item[]): void {
    const nowMs = Date.now();
    const columns = view.columns.filter(({ isWide }) => this.form.kind === "wide" || isWide === undefined);
    const cells = items.map((item) => columns.map(({ cell }) => cell(item, nowMs)));
    const headings =
      this.#options.headings && !this.#hasHeadings ? [columns.map(({ heading }) => heading)] : [];
    this.#hasHeadings = true;
    const { lines, widths } = layOut([...headings, ...cells], this.#widths);
    this.#widths = widths;
    for (const line of lines) this.line(line);
  }

  /** Prints a value as JSON, YAML or by the template; forms for tables print JSON. */
  async value(value: unknown): Promise<void> {
    if (this.form.kind === "yaml") {
      const { stringify } = await import("yaml");
      this.#options.stdout.write(stringify(value));
    } else if (this.form.kind === "jsonpath") {
      const { fillTemplate } = await import("./json-path-template.ts");
      const text = fillTemplate(this.form.template, value);
      this.#options.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
    } else {
      this.line(JSON.stringify(value, null, 2));
    }
  }

  line(text: string): void {
    this.#options.stdout.write(`${text}\n`);
  }

  #names<Item>(view: View<Item>, items: readonly Item[]): void {
    for (const item of items) this.line(`${view.kind}/${view.name(item)}`);
  }
}
