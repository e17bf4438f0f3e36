/**
 * Puts JSON text into an object as it is: payloads are encoded once, by `encodePayload`.
 */

/**
 * The members of an object that hold a payload, without braces.
 *
 * JSON null is said beside it (`name_null`): in Postgres's records it could not be told from a member that is not there,
 * which is how `undefined` is written.
 *
 * @param text - JSON text; null for undefined, which gives no member.
 */
export function payloadMember(name: string, text: string | null): string | undefined {
  if (text === null) return undefined;
  return text === "null" ? `"${name}_null":true` : `"${name}":${text}`;
}

/** Adds a payload to an object that is JSON text already. */
export function withPayload(objectText: string, name: string, text: string | null): string {
  const member = payloadMember(name, text);
  if (member === undefined) return objectText;
  const separator = objectText === "{}" ? "" : ",";
  return `${objectText.slice(0, -1)}${separator}${member}}`;
}
