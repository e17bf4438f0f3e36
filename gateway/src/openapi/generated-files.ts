/** The files that are made from the table of operations: the document, and the typed client's types. */
import { clientSource } from "../client/generate/client-source.ts";
import { openApiDocument } from "./document.ts";

/** A generated file, by its path inside the package. */
export interface GeneratedFile {
  readonly path: string;
  readonly text: string;
}

/** All of them, as they should be. */
export function generatedFiles(): readonly GeneratedFile[] {
  const document = openApiDocument();
  return [
    { path: "openapi.json", text: `${JSON.stringify(document, null, 2)}\n` },
    { path: "src/client/operations.ts", text: clientSource(document) },
  ];
}
