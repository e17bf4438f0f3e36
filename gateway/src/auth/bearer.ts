/** Reads what a request brings in its header Authorization. */
import type { IncomingMessage } from "node:http";
import { UnauthenticatedError } from "./index.ts";

/** Kubernetes' own tokens have 1 to 2 KB, those with many groups some more. */
const TOKEN_CHARACTERS_MAX = 16_384;
/** RFC 6750's b64token. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/u;

/**
 * The bearer token of a request.
 *
 * @returns Undefined when it has no header Authorization.
 * @throws {UnauthenticatedError} When the header is there and is no bearer token; its message never holds what it is.
 */
export function bearerToken(request: Pick<IncomingMessage, "headersDistinct">): string | undefined {
  const values = request.headersDistinct["authorization"] ?? [];
  const [value] = values;
  if (value === undefined) return undefined;
  const [, token = ""] = /^Bearer +(\S+) *$/iu.exec(value) ?? [];
  if (values.length > 1 || !TOKEN.test(token) || token.length > TOKEN_CHARACTERS_MAX) {
    throw new UnauthenticatedError(
      `the header Authorization is no bearer token of up to ${TOKEN_CHARACTERS_MAX} characters; send it once, as "Bearer <token>"`,
      { challenge: 'Bearer error="invalid_request"' },
    );
  }
  return token;
}
