/** `version`. */
import type { CommandSession } from "../cli/command-session.ts";
import { VERSION } from "../cli/package-version.ts";
import { EXIT_CODES } from "../exit-codes.ts";

/** Prints the version of this command, and of the gateway where it can be reached. */
export async function version(
  session: CommandSession,
  { client: clientAlone }: { readonly client?: boolean },
): Promise<number> {
  const client = { version: VERSION, node: process.version, platform: `${process.platform}-${process.arch}` };
  const gateway = clientAlone === true ? undefined : await readGatewayVersion(session);
  const { printer } = session;
  if (printer.form.kind === "table" || printer.form.kind === "wide") {
    printer.line(`client   ${client.version} (Node ${client.node}, ${client.platform})`);
    if (gateway !== undefined) printer.line(`gateway  ${gateway}`);
  } else {
    await printer.value({ client, ...(gateway === undefined ? {} : { gateway: { version: gateway } }) });
  }
  return EXIT_CODES.done;
}

/** As its document says; without a gateway the client's version is still worth printing. */
async function readGatewayVersion(session: CommandSession): Promise<string | undefined> {
  try {
    const { readDocumentVersion } = await import("../connect/document-version.ts");
    return await readDocumentVersion(await session.connect());
  } catch (error) {
    session.say(`no gateway: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}
