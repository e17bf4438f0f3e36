/**
 * Reads what the API server says when it does not do what was asked: an HTTP answer, or an ERROR event of a watch.
 *
 * Promises a typed error for any answer, also for one that a proxy on the way wrote in HTML.
 */
import { statusError } from "./errors.ts";
import type { KubeStatusError } from "./errors.ts";
import type { HttpAnswer } from "./transport.ts";
import type { Status } from "./wire.ts";

/** Of a text that is no Status object, a message shows so much. */
const EXCERPT_CHARACTERS_MAX = 200;

/** The error that an answer other than 2xx stands for. */
export function answerError(request: string, answer: HttpAnswer): KubeStatusError {
  const status = parseStatus(answer.text);
  return statusError(request, {
    status: answer.status,
    reason: status?.reason ?? "",
    message: status?.message ?? answer.text.slice(0, EXCERPT_CHARACTERS_MAX),
    retryAfterMs: headerMs(answer.retryAfter) ?? detailMs(status),
  });
}

/** The error that the object of an ERROR event stands for. */
export function eventError(request: string, status: Status): KubeStatusError {
  return statusError(request, {
    status: status.code ?? 500,
    reason: status.reason ?? "",
    message: status.message ?? "the watch ended with an error that has no message",
    retryAfterMs: detailMs(status),
  });
}

function parseStatus(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Status | null;
    return value?.kind === "Status" ? value : undefined;
  } catch {
    // Not from the API server itself: the text is shown as it is.
    return undefined;
  }
}

/** Kubernetes sends seconds, never a date. */
function headerMs(retryAfter: string | undefined): number | undefined {
  return retryAfter !== undefined && /^\d{1,9}$/u.test(retryAfter) ? Number(retryAfter) * 1000 : undefined;
}

function detailMs(status: Status | undefined): number | undefined {
  const seconds = status?.details?.retryAfterSeconds;
  return seconds === undefined ? undefined : seconds * 1000;
}
