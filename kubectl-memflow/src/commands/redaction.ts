/**
 * Takes out of a document what must not leave: secrets, code, and what people wrote where secrets are likely. Pure.
 *
 * Better too much than too little: a member is taken out by its name wherever it stands, a text by its look.
 */

const REDACTED = "<redacted>";
/** Members whose values are never told. */
const SECRET_MEMBER =
  /^(data|stringData|binaryData|token|password|passphrase|secret|credentials?|authorization|apiKey|key|tls\.key|kubectl\.kubernetes\.io\/last-applied-configuration)$/iu;
/** Code and plain values of environments. */
const CONTENT_MEMBER = /^(inline|files|source|defaultArgs|input|args)$/u;
/** An address with a password, a JSON web token, a private key, a key of a gateway. */
const SECRET_TEXT = [
  /\b([a-z][a-z0-9+.-]*:\/\/[^:/?#\s@]+):[^@/?#\s]+@/giu,
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/gu,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----/gu,
  /\bmfk_[\w-]{20,}/gu,
  /\b(password|passwd|secret|token|api[-_]?key)(["']?\s*[=:]\s*["']?)[^\s"',;&]+/giu,
] as const;

/** The document without them. */
export function redact(value: unknown): unknown {
  if (typeof value === "string") return redactText(value);
  if (Array.isArray(value)) return value.map((item) => redact(item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, redactMember(name, member)]),
  );
}

function redactMember(name: string, member: unknown): unknown {
  if (SECRET_MEMBER.test(name) || CONTENT_MEMBER.test(name)) return REDACTED;
  if (name === "env" && Array.isArray(member)) return member.map(redactVariable);
  return redact(member);
}

/** Of a variable its name, and where a value that is not written here comes from. */
function redactVariable(variable: unknown): unknown {
  const { name, value, valueFrom } = variable as Readonly<Record<string, unknown>>;
  return {
    name,
    ...(value === undefined ? {} : { value: REDACTED }),
    ...(valueFrom === undefined ? {} : { valueFrom }),
  };
}

function redactText(text: string): string {
  const [address, webToken, privateKey, gatewayKey, assignment] = SECRET_TEXT;
  return text
    .replace(address, `$1:${REDACTED}@`)
    .replace(webToken, REDACTED)
    .replace(privateKey, REDACTED)
    .replace(gatewayKey, REDACTED)
    .replace(assignment, `$1$2${REDACTED}`);
}
