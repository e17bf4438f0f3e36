/**
 * Reads a request's JSON body within its limits.
 *
 * Promises that no more is read or parsed than may be: bytes are counted as they come, levels before anything is parsed.
 */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { ProblemError } from "./problem.ts";

/** What a body may be. */
export interface BodyLimits {
  readonly bodyBytesMax: number;
  readonly bodyDepthMax: number;
}

const EMPTY = Buffer.alloc(0);
/** What is left of a refused body is not read: the connection ends with the answer. */
const CLOSE = { Connection: "close" } as const;

/**
 * Reads it.
 *
 * @returns Undefined when there is none.
 */
export async function readJsonBody(request: IncomingMessage, limits: BodyLimits): Promise<unknown> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > limits.bodyBytesMax) throw tooLarge(limits);
  const bytes = await readBytes(request, limits);
  if (bytes.length === 0) return undefined;
  assertJsonType(request);
  const text = decode(bytes);
  if (depthOf(text) > limits.bodyDepthMax)
    throw new ProblemError(
      "TooDeep",
      `the body has more than ${limits.bodyDepthMax} levels of arrays and objects`,
    );
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new ProblemError(
      "NotJson",
      `the body is not JSON: ${cause instanceof Error ? cause.message : "?"}`,
      { cause },
    );
  }
}

/** By events: an iterator over the request costs more than the rest of a start. */
function readBytes(request: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let length = 0;
  const take = (chunk: Buffer): void => {
    length += chunk.length;
    chunks.push(chunk);
    if (length <= limits.bodyBytesMax) return;
    request.off("data", take);
    reject(tooLarge(limits));
  };
  request.on("data", take);
  request.once("end", () => resolve(chunks.length === 1 ? (chunks[0] ?? EMPTY) : Buffer.concat(chunks)));
  request.once("error", reject);
  request.once("close", () => {
    if (!request.complete) reject(new ProblemError("Invalid", "the request was cut off"));
  });
  return promise;
}

function assertJsonType(request: IncomingMessage): void {
  const [type = "", ...parameters] = (request.headers["content-type"] ?? "").toLowerCase().split(";");
  const charset = parameters.map((part) => part.trim()).find((part) => part.startsWith("charset="));
  const encoding = request.headers["content-encoding"] ?? "identity";
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/u.test(charset);
  if (type.trim() === "application/json" && isUtf8 && encoding === "identity") return;
  throw new ProblemError(
    "UnsupportedMediaType",
    "send the body as application/json in UTF-8, not compressed",
    {
      headers: { Accept: "application/json" },
    },
  );
}

function decode(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  throw new ProblemError("NotJson", "the body is not UTF-8");
}

function tooLarge({ bodyBytesMax }: BodyLimits): ProblemError {
  return new ProblemError("TooLarge", `the body has more than ${bodyBytesMax} bytes`, {
    remedy: "keep large data elsewhere and send its address",
    headers: CLOSE,
  });
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Levels of arrays and objects of a JSON text, without parsing it. */
export function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) index = endOfString(text, index);
    else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (code === 0x5d || code === 0x7d) depth -= 1;
  }
  return deepest;
}

/** The place of the quote that ends a string. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end;
}

function isEscaped(text: string, place: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(place - 1 - backslashes) === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}
