/** `whoami`. */
import type { CommandSession } from "../cli/command-session.ts";
import { EXIT_CODES } from "../exit-codes.ts";

/** Prints as whom the gateway knows the caller. */
export async function whoami(session: CommandSession): Promise<number> {
  const { client, description } = await session.connect();
  const { body } = await client.call("whoami", {});
  const { printer } = session;
  if (printer.form.kind !== "table" && printer.form.kind !== "wide") {
    await printer.value(body);
    return EXIT_CODES.done;
  }
  printer.line(`user     ${body.user}`);
  printer.line(`groups   ${body.groups.length === 0 ? "<none>" : body.groups.join(", ")}`);
  printer.line(`known by ${body.via}`);
  if (body.impersonatedBy !== undefined) printer.line(`really   ${body.impersonatedBy}`);
  printer.line(`gateway  ${description}`);
  return EXIT_CODES.done;
}
