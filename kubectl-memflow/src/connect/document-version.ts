/** The version of a gateway: that of the document that it serves. */
import type { GatewayConnection } from "./connection.ts";

/** @throws {TypeError} When it can't be reached; Error when what answers is none. */
export async function readDocumentVersion({ fetchDocument }: GatewayConnection): Promise<string> {
  const response = await fetchDocument();
  const document = (await response.json()) as { readonly info?: { readonly version?: string } };
  return document.info?.version ?? "unknown";
}
