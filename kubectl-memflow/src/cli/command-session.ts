/** What a command works with: its options, where it prints, and the gateway once it asks for it. */
import type { GatewayConnection } from "../connect/connection.ts";
import { parseOutputForm } from "../print/output-form.ts";
import { Printer } from "../print/printer.ts";
import { makeTerminal } from "../show/terminal.ts";
import type { Terminal } from "../show/terminal.ts";
import type { CliIo } from "./cli-io.ts";
import type { GlobalOptions } from "./global-options.ts";

/** @see runCommand */
export class CommandSession {
  readonly io: CliIo;
  readonly options: GlobalOptions;
  /** For data. */
  readonly printer: Printer;
  /** For messages. */
  readonly terminal: Terminal;
  #connection: GatewayConnection | undefined;

  constructor(io: CliIo, options: GlobalOptions) {
    this.io = io;
    this.options = options;
    this.printer = new Printer({
      stdout: io.stdout,
      form: parseOutputForm(options.output),
      headings: options.headers,
    });
    this.terminal = makeTerminal(io.stderr, io.environment);
  }

  /** The gateway; opened once. */
  async connect(): Promise<GatewayConnection> {
    if (this.#connection === undefined) {
      const { openGateway } = await import("../connect/open-gateway.ts");
      this.#connection = await openGateway(this.options, this.io);
    }
    return this.#connection;
  }

  /** A message for a person. */
  say(text: string): void {
    this.terminal.line(text);
  }

  /** A command to type next, with the options that say which gateway is meant. */
  nextCommand(words: string): string {
    const { namespace, store, context, kubeconfig, server, gatewayNamespace, tokenFile } = this.options;
    const { certificateAuthority, as } = this.options;
    const given = [
      ["-n", namespace],
      ["--store", store],
      ["--context", context],
      ["--kubeconfig", kubeconfig],
      ["--gateway-namespace", gatewayNamespace],
      ["--server", server],
      ["--token-file", tokenFile],
      ["--certificate-authority", certificateAuthority],
      ["--as", as],
    ].flatMap(([flag, value]) => (value === undefined ? [] : [`${flag} ${quote(value)}`]));
    return [this.io.name, words, ...given].join(" ");
  }

  async close(): Promise<void> {
    await this.#connection?.close();
  }
}

function quote(text: string): string {
  return /^[\w./:=@-]+$/u.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
