/** A version of the schema, as its migration files are numbered. */
export function versionText(version: number): string {
  return String(version).padStart(4, "0");
}
