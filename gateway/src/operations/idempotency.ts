/** The header Idempotency-Key, and what a request under a key is known by. */
import { createHash } from "node:crypto";
import type { IdempotencyKey } from "@memflow/engine";
import { invalid } from "../http/problem.ts";
import type { CallContext } from "./call.ts";

const KEY = /^[!-~]{1,255}$/u;

/**
 * The key of a request; undefined when it has none.
 *
 * @param request - All that it asks for: under the same key only the same is taken.
 */
export function idempotencyOf(call: CallContext, request: unknown): IdempotencyKey | undefined {
  const key = call.headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key !== "string" || !KEY.test(key))
    throw invalid([{ path: "header.Idempotency-Key", message: "must be 1 to 255 printable characters" }]);
  return { key, fingerprint: fingerprintOf(request), expiresMs: Date.now() + call.limits.idempotencyKeepMs };
}

/** Says until when the key is kept. */
export function expiresHeader(expiresMs: number): Readonly<Record<string, string>> {
  return { "Idempotency-Key-Expires": new Date(expiresMs).toISOString() };
}

/** A hash that is the same for the same request, whatever the order of its members. */
function fingerprintOf(value: unknown): string {
  return createHash("sha256").update(canonicalText(value)).digest("hex");
}

function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.entries(member).toSorted(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
      : member,
  );
}
