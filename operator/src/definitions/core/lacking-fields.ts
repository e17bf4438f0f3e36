/**
 * Compares two schemas of a kind: what ours has and the installed one lacks. An installed one that knows more is newer, and
 * does no harm.
 */

/** The part of a structural schema that says which fields and values there are. */
export interface FieldSchema {
  readonly properties?: Readonly<Record<string, FieldSchema>> | undefined;
  readonly additionalProperties?: FieldSchema | boolean | undefined;
  readonly items?: FieldSchema | undefined;
  readonly enum?: readonly unknown[] | undefined;
}

/**
 * Lists what is lacking.
 *
 * @returns Paths such as `spec.scaling.minReplicas`, and `spec.scaling.mode "Manual"` for a value; a field that lacks is not
 *   looked into.
 */
export function lackingFields(installed: FieldSchema | undefined, ours: FieldSchema, path = ""): string[] {
  if (installed === undefined) return [path === "" ? "(everything)" : path];
  const lacking: string[] = [];
  for (const [name, field] of Object.entries(ours.properties ?? {})) {
    lacking.push(
      ...lackingFields(installed.properties?.[name], field, path === "" ? name : `${path}.${name}`),
    );
  }
  if (ours.items) lacking.push(...lackingFields(installed.items, ours.items, `${path}[]`));
  if (typeof ours.additionalProperties === "object" && typeof installed.additionalProperties === "object") {
    lacking.push(...lackingFields(installed.additionalProperties, ours.additionalProperties, `${path}{}`));
  }
  const values = installed.enum ?? ours.enum ?? [];
  for (const value of ours.enum ?? []) {
    if (!values.includes(value)) lacking.push(`${path} ${JSON.stringify(value)}`);
  }
  return lacking;
}
